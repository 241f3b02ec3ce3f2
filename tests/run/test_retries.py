"""--retries: what the machine ended is run again, and nothing else is."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from comparing import by_id
from other_plugins import Place, properties, verdicts
from suites import ROOT, Finished, Suite, own_generate
from toys import record

from bench.core.errors import InfrastructureProblem
from bench.core.verdict import Verdict
from bench.machine.lease import LeaseServer
from bench.run.attempts import TRIAL, Trial
from bench.run.retries import Retries, note_retries, status_of_retry
from bench.run.view import RunView, Seeds

# Ends a process that the cases of a run share: while case 2 runs for the first time, and each time that case 4 runs.
KILLER = """
import os, psutil, pytest
from pathlib import Path

def kill(name):
    owner = psutil.Process(os.getppid()) if "PYTEST_XDIST_WORKER" in os.environ else psutil.Process()
    while "pytest" not in " ".join(owner.cmdline()):
        owner = owner.parent()
    for child in owner.children(recursive=True):
        if name in " ".join(child.cmdline()):
            child.kill()

@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    mark = Path(os.environ["MARK"])
    if item.name.endswith("-4]") or (item.name.endswith("-2]") and not mark.exists()):
        mark.touch()
        kill(os.environ["VICTIM"])
    return (yield)
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def killing(directory: Path, victim: str) -> dict[str, str]:
    """Return the environment in which the plugin ``killer`` ends a process of a run."""
    (directory / "killer.py").write_text(KILLER)
    return {
        "PYTHONPATH": os.pathsep.join([str(directory), str(ROOT)]), "VICTIM": victim, "MARK": str(directory / "mark"),
    }  # fmt: skip


def codes(found: dict[str, Any]) -> list[str]:
    return [attempt["reason_code"] for attempt in found["attempts"]]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run whose fork server dies while case 2 runs, once, and whenever case 4 runs. Each start of one takes seconds."""
    suite = Suite(tmp_path_factory.mktemp("killed"))
    suite.add(1)
    suite.add(2)
    suite.add(3, own_generate("images = []"))
    suite.add(4)
    environment = killing(suite.directory, "host.forkserver")
    return suite.run("-n", "1", "-p", "killer", "-v", environment=environment, own_server=True)


@pytest.mark.slow
def test_a_case_whose_fork_server_died_is_decided_by_its_next_attempt(killed: Finished) -> None:
    assert [killed.record(number)["verdict"] for number in (1, 2, 3)] == ["pass", "pass", "error"], (
        killed.output
    )
    assert codes(killed.record(2)) == ["service_died"]
    assert any("ended as service_died: " in line for line in killed.record(2)["warnings"])
    assert codes(killed.record(3)) == [], "a candidate's own error decides"
    assert killed.record(3)["reason_code"] not in ("service_died", "internal_error")
    assert "RERUN" in killed.output
    assert killed.code == 1


@pytest.mark.slow
def test_a_case_whose_fork_server_dies_each_time_stays_an_error_of_nobody(killed: Finished) -> None:
    record = killed.record(4)
    assert (record["reason_code"], codes(record)) == ("service_died", ["service_died"]), killed.output


@pytest.mark.slow
@pytest.mark.parametrize("dist", ["load", "worksteal", "loadfile"])
def test_a_case_whose_worker_died_runs_again_on_another_one(place: Place, dist: str) -> None:
    finished = place.ranked("-k", "exact-words or dying-words", "-n", "2", "--dist", dist, plugins="xdist")
    assert verdicts(finished) == {"exact-words": "pass", "dying-words": "pass"}, finished.output
    assert codes(by_id(finished)["dying-words"]) == ["worker_died"]
    testcases = place.testcases()
    assert set(testcases) == {"exact-words", "dying-words"}
    assert properties(testcases["dying-words"])["verdict"] == "pass"
    assert not [*testcases["dying-words"].iter("error"), *testcases["dying-words"].iter("failure")]
    assert "1 rerun" in finished.output
    assert finished.code == 0, finished.output
    if dist != "load":
        return
    resumed = place.ranked("-k", "dying-words", "--reuse", "latest")
    assert resumed.code == 0, resumed.output
    before, after = by_id(finished)["dying-words"], by_id(resumed)["dying-words"]
    assert after["reused"], after
    assert (after["attempts"], after["warnings"]) == (before["attempts"], before["warnings"])


@pytest.mark.slow
def test_a_worker_that_died_is_the_end_where_nothing_runs_again(place: Place) -> None:
    finished = place.ranked("-k", "dying-words", "-n", "1", "--retries", "0", plugins="xdist")
    found = by_id(finished)["dying-words"]
    assert (found["reason_code"], codes(found)) == ("worker_died", []), finished.output
    assert finished.code == 1


@pytest.mark.slow
def test_no_verdict_and_no_error_of_a_user_s_is_taken_again(place: Place) -> None:
    finished = place.evaluated("--retries", "3")
    assert {found["id"] for found in by_id(finished).values() if found["attempts"]} == set(), finished.output
    finished = place.ranked("-k", "flaky-words", "--retries", "3")
    found = by_id(finished)["flaky-words"]
    assert (found["reason_code"], codes(found)) == ("inference_failed", []), finished.output


def trial(code: str, verdict: str = "error", error: BaseException | None = None) -> Trial:
    made = Trial([])
    made.reported = record("pass")
    made.reported.apply(Verdict(verdict, code, "because"))
    made.error = error
    return made


def report(outcome: str = "failed", when: str = "call") -> Any:
    return SimpleNamespace(outcome=outcome, when=when, failed=outcome == "failed")


@pytest.mark.parametrize(
    ("made", "outcome"),
    [
        (trial("service_died"), "rerun"),
        (trial("disk_full"), "rerun"),
        (trial("timed_out", error=pytest.fail.Exception("Timeout (>2.0s) from pytest-timeout.")), "rerun"),
        (trial("timed_out"), "failed"),  # the candidate's own
        (trial("machine_busy"), "failed"),
        (trial("score_missed", "fail"), "failed"),
        (trial("internal_error", error=ValueError("2")), "failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.reported.reason_code,
)
@pytest.mark.parametrize("when", ["setup", "call"])
def test_only_what_the_machine_ended_runs_again(made: Trial, outcome: str, when: str) -> None:
    found = report(when=when)
    Retries(1).review(found, made)
    assert (found.outcome, made.runs_again) == (outcome, outcome == "rerun")


def test_the_limit_is_kept_and_the_teardown_belongs_to_its_attempt() -> None:
    made, found, teardown = trial("service_died"), report(), report(when="teardown")
    made.retries = 1
    Retries(1).review(found, made)
    assert found.outcome == "failed"
    Retries(2).review(found, made)
    Retries(2).review(teardown, made)
    assert (found.outcome, teardown.outcome) == ("rerun", "rerun")
    assert status_of_retry(found) == ("rerun", "R", ("RERUN", {"yellow": True}))
    teardown_of_retry = status_of_retry(teardown)
    assert teardown_of_retry is not None
    assert teardown_of_retry[:2] == ("", "")
    assert status_of_retry(report()) is None


def test_a_stopped_session_runs_nothing_again() -> None:
    calls: list[str] = []

    def hook(**_: object) -> None:
        calls.append("again")

    made = trial("service_died")
    made.runs_again = True
    item: Any = SimpleNamespace(
        stash=pytest.Stash(), session=SimpleNamespace(shouldstop=False, shouldfail="1 failed"),
        ihook=SimpleNamespace(pytest_runtest_protocol=hook),
    )  # fmt: skip
    item.stash[TRIAL] = made
    for _ in range(2):
        around = Retries(1).pytest_runtest_protocol(item, None)
        next(around)
        with pytest.raises(StopIteration):
            around.send(True)
        item.session.shouldfail = False
    assert calls == ["again"]


def test_a_dead_worker_s_case_is_put_back_as_often_as_allowed_and_once_for_all_plugins() -> None:
    put_back: list[str] = []
    schedule: Any = SimpleNamespace(mark_test_pending=put_back.append)
    retries = Retries(1)
    first, other, second = report(), report("rerun"), report()
    retries.pytest_handlecrashitem("a", first, schedule)
    retries.pytest_handlecrashitem("b", other, schedule)
    retries.pytest_handlecrashitem("a", second, schedule)
    assert (first.outcome, second.outcome, put_back) == ("rerun", "failed", ["a"])


def test_a_record_names_what_the_machine_ended_before() -> None:
    final = record("pass").to_json()
    note_retries(final, [
        {"reason_code": "service_died", "reason": "the scorer is gone"}, {"reason_code": "score_missed", "reason": "x"},
    ])  # fmt: skip
    assert final["warnings"] == ["an earlier attempt ended as service_died: the scorer is gone"]
    taken_over = {**final, "reused": "20260101_000000"}
    note_retries(taken_over, [{"reason_code": "service_died", "reason": "the scorer is gone"}])
    assert taken_over["warnings"] == final["warnings"]


def test_a_service_that_cannot_be_had_blames_nobody(tmp_path: Path) -> None:
    def away() -> str:
        raise OSError("no memory")

    server = LeaseServer(tmp_path / "leases", 1, {"fork server": away}).start()
    try:
        view = RunView(tmp_path, str(server.address), Seeds(0), 1, ((0,),))
        with pytest.raises(
            InfrastructureProblem, match="the fork server cannot be had: OSError: no memory"
        ) as caught:
            view.service("fork server")
        assert caught.value.reason_code == "service_died"
    finally:
        server.stop()
