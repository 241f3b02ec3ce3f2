"""Attacks on the suite end with the right verdict for the right reason; honest files of unusual form pass, next to them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar

import arms
import pytest
import warm
from suites import ROOT, own_cores, own_environment

from bench.acceleration.host import kept_server

sys.path.insert(0, str(ROOT / "benchmarks"))

import hostile

pytestmark = pytest.mark.slow

ATTACKS = {one.name: one for one in hostile.catalogue()}
HONEST = {one.name: one for one in hostile.honest()}
QUICK = hostile.split(list(ATTACKS.values()), quick=True)
SHARED_MEMORY = Path("/dev/shm")


def run(directory: Path, candidates: list[hostile.Candidate], *, timed: bool) -> hostile.Finished:
    return hostile.run(
        directory, candidates, timed=timed, cores={int(core) for core in own_cores(()).split(",")},
        environment=own_environment({kept_server.VARIABLE: arms.kept_server()}),
        start=lambda command, cwd, env: warm.run(command, cwd=cwd, env=env, timeout=900),
    )  # fmt: skip


def asked_for(request: pytest.FixtureRequest, candidates: list[hostile.Candidate]) -> list[hostile.Candidate]:
    """Return the candidates that tests of this session ask for; where none asks for one by name, all."""
    tests = (item for item in request.session.items if item.path == request.path)
    names = {item.callspec.params.get("name") for item in tests if hasattr(item, "callspec")}
    return [one for one in candidates if one.name in names] or candidates


@pytest.fixture(scope="module")
def untimed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> hostile.Finished:
    """Attacks on what is made, with honest candidates between them."""
    attacks, honest = (asked_for(request, many) for many in (QUICK[False], list(HONEST.values())))
    between = [one for pair in zip(attacks, honest, strict=False) for one in pair]
    rest = [one for one in (*attacks, *honest) if one not in between]
    return run(tmp_path_factory.mktemp("hostile"), [*between, *rest], timed=False)


@pytest.fixture(scope="module")
def timed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> hostile.Finished:
    """Attacks on the clock."""
    return run(tmp_path_factory.mktemp("clock"), asked_for(request, QUICK[True]), timed=True)


def marked(candidates: list[hostile.Candidate]) -> list[object]:
    """Return parameters; what catches an attack may not be there yet, and says so when it is."""
    return [
        pytest.param(
            one.name,
            marks=[pytest.mark.xfail(strict=True, reason=f"waits for {one.waits_for}")]
            if one.waits_for
            else [],
        )
        for one in candidates
    ]


@pytest.mark.parametrize("name", marked(QUICK[False]))
def test_an_attack_ends_as_it_must(untimed: hostile.Finished, name: str) -> None:
    assert ATTACKS[name].wrong(untimed.records.get(name)) is None


@pytest.mark.parametrize("name", marked(QUICK[True]))
def test_an_attack_on_the_clock_ends_as_it_must(timed: hostile.Finished, name: str) -> None:
    record = timed.records[name]
    assert ATTACKS[name].wrong(record) is None
    # As fast as the same pipeline without the attack is: equal to the baseline.
    assert record["speedup"]["value"] < hostile.REQUIRED_SPEEDUP


@pytest.mark.parametrize("name", marked(list(HONEST.values())))
def test_an_honest_candidate_is_not_accused(untimed: hostile.Finished, name: str) -> None:
    record = untimed.records[name]
    assert HONEST[name].wrong(record) is None
    assert record["config"]["mismatches"] == []


def test_an_attack_without_effect_is_what_it_is_without_the_attack(untimed: hostile.Finished) -> None:
    names = [name for name in untimed.records if name in ATTACKS and ATTACKS[name].no_effect]
    assert names
    for name in names:
        record = untimed.records[name]
        assert record["config"]["mismatches"] == []
        assert record["quality"]["loss"] == 0  # the target's images, each


def test_no_attack_leaves_anything_behind(untimed: hostile.Finished, timed: hostile.Finished) -> None:
    for finished in (untimed, timed):
        submission = finished.directory / "submission"
        made = {file.name for file in submission.iterdir()} - {f"{name}.py" for name in (*ATTACKS, *HONEST)}
        assert made <= {"plain.py", "pyproject.toml", ".git", "settings.json"}
        assert "STEPS = 4" in (submission / "plain.py").read_text()
        assert not list(finished.directory.glob("out/*/conftest.py"))
    assert not list(SHARED_MEMORY.glob("modelgate-answers*"))


def test_every_record_says_which_layers_were_in_force(untimed: hostile.Finished) -> None:
    honest = HONEST.keys() & untimed.records.keys()
    assert honest
    for name in honest:
        isolation = untimed.records[name]["isolation"]
        assert isolation["mode"] == "jail"
        assert "files" in isolation["layers"] or "files" in isolation["missing"]


def test_the_catalogue_names_every_file_and_every_line() -> None:
    files = {file.stem for file in (hostile.ROOM / "attacks").glob("*.py")}
    assert files == {*ATTACKS, hostile.PLAIN}
    assert len(ATTACKS) >= 70
    assert len(HONEST) >= 40
    assert {one.line for one in ATTACKS.values()} | hostile.NOT_RUN.keys() == set(range(1, 85))
    for one in (*ATTACKS.values(), *HONEST.values()):
        assert one.file.read_text().startswith('"""'), one.name
        assert one.waits_for or one.verdict in ("pass", "fail", "error")


def test_what_readme_says_was_measured_with_these_candidates() -> None:
    figures = hostile.figures()
    assert figures.keys() == {*ATTACKS, *HONEST}
    held = sum(figures[name] == "held" for name in ATTACKS)
    accused = sum(figures[name] != "held" for name in HONEST)
    waiting = {name for name, what in figures.items() if what == "waiting"}
    assert waiting == {name for name, one in ATTACKS.items() if one.waits_for}
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"{held} of {len(ATTACKS)} attacks are held" in readme
    assert f"{accused} of {len(HONEST)} honest candidates" in readme


class TestWhatIsWrong:
    """A record that is not as it must be is found."""

    RECORD: ClassVar = {
        "verdict": "fail",
        "reason_code": "config_mismatch",
        "reason": "steps: target 4",
        "output_tail": None,
    }

    @pytest.mark.parametrize(
        ("changes", "fragment"),
        [
            ({}, None),
            ({"verdict": "pass"}, "expected fail config_mismatch, found pass"),
            ({"reason_code": "quality_lost"}, "found fail (quality_lost)"),
            ({"reason": "other"}, "expected 'target 4' in the reason"),
        ],
    )
    def test_it_is_said(self, changes: dict[str, str], fragment: str | None) -> None:
        one = hostile.Candidate("a", "timing", "fail", code="config_mismatch", says=["target 4"])
        found = one.wrong(self.RECORD | changes)
        assert (found is None) if fragment is None else fragment in found

    def test_without_a_record_too(self) -> None:
        assert hostile.Candidate("a", "timing", "fail").wrong(None) == "it has no record"
