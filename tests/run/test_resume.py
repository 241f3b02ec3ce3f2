"""What every result of a kind depends on besides its case: what changes it, and what does not."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from bench.core.case import Case
from bench.core.fingerprint import differing
from bench.core.options import Place, Setting, option
from bench.kinds import KINDS
from bench.run.options import RunOptions
from bench.run.resume import case_fingerprint, shared_fingerprint


@dataclasses.dataclass(frozen=True)
class Options:
    clip: Place | None = option("a model")
    rows: int = option("how many", 5)
    names: tuple[str, ...] = option("which cases", (), neutral=True)


TIMED, UNTIMED = SimpleNamespace(is_timed=True), SimpleNamespace(is_timed=False)


def parts(kind: Any = UNTIMED, options: Options | None = None, cores: int = 1, **run: Any) -> dict[str, str]:
    setting = Setting(run=RunOptions(**run), given=frozenset(), directory=Path("/"), workers=1)
    return shared_fingerprint(kind, options or Options(), setting, cores)


@pytest.mark.parametrize(
    "changed",
    [
        {"work_dir": Path("/elsewhere")}, {"junit_schema": "jenkins"}, {"inconclusive": "skip"}, {"tables": ("csv",)},
        {"reuse": "latest"}, {"record_host": True}, {"options": Options(names=("one",))},
    ],
)  # fmt: skip
def test_where_results_go_and_which_cases_there_are_changes_no_result(changed):
    assert differing(parts(), parts(**changed)) == []


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"seed": "3"}, "option seed"),
        ({"require": ("reranking:mrr@10>=0.6",)}, "option require"),
        ({"device": "cuda"}, "option device"),
        ({"options": Options(rows=6)}, "option rows"),
    ],
)
def test_what_changes_a_result_is_named(changed, named):
    assert differing(parts(), parts(**changed)) == [named]


def test_a_model_that_an_option_names_counts_by_its_content(tmp_path):
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"before")
    before = parts(options=Options(clip=Place(str(tmp_path))))
    weights.write_bytes(b"trained again")
    assert differing(before, parts(options=Options(clip=Place(str(tmp_path))))) == ["option clip"]


def test_a_case_that_cannot_be_evaluated_is_not_asked_what_it_depends_on():
    def raises(case):
        raise ValueError("the file of a user")

    kind = SimpleNamespace(inputs=raises)
    assert list(case_fingerprint(kind, Case("broken", problem="no such task"))) == ["entry"]
    with pytest.raises(ValueError, match="the file of a user"):
        case_fingerprint(kind, Case("whole"))


def test_a_name_on_a_hub_counts_by_itself():
    assert parts(options=Options(clip=Place("a/b")))["option clip"] == "a/b"


def test_the_machine_counts_for_what_is_timed_alone():
    assert differing(parts(cores=1), parts(cores=2)) == []
    assert differing(parts(TIMED, cores=1), parts(TIMED, cores=2)) == ["cores of a case"]
    assert "machine" in parts(TIMED)


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("evaluated", {"expected": 0.2}),
        ("regression", {"mean": 2.0, "mean_rmse": 0.5}),
        ("reranking", {"expected": 0.2}),
    ],
)
def test_a_gain_that_is_read_again_has_lost_nothing_that_its_kind_says_of_it(name, own):
    kind = KINDS[name]
    needed = {field.name: "x" for field in msgspec.structs.fields(kind.body) if field.required}
    gain = {"metric": "mrr@10", "value": 0.3, "low": 0.2, "high": 0.4, "over": "something simple", **own}
    after = kind.decode({"id": "a", "kind": name, "gain": gain, **needed}).to_json()["gain"]
    assert {key: after.get(key, "lost") for key in gain} == gain
