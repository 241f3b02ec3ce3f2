"""pytest-timeout: whatever its limit interrupts is a time-out, and never decides a case."""

from __future__ import annotations

import pytest
from comparing import by_id
from other_plugins import needs_plugins, properties

pytestmark = [pytest.mark.slow, needs_plugins]

LIMIT = "6"  # seconds, plenty for what does not sleep
DEADLY_LIMIT = "20"  # plenty, too, for the other case of a run whose two workers start

SLOW_SET_UP = """
import time, pytest

@pytest.fixture(autouse=True)
def slow_begin():
    time.sleep(60)
"""
SLOW_TEARDOWN = """
import time, pytest

@pytest.fixture(autouse=True)
def slow_end():
    yield
    time.sleep(60)
"""


def timed_out(record, testcase):
    assert (record["verdict"], record["reason_code"]) == ("error", "timed_out")
    assert record["reason"].startswith("the test took more than 6.0 s, the limit of pytest-timeout")
    assert properties(testcase)["reason_code"] == "timed_out"
    (node,) = [*testcase.iter("failure"), *testcase.iter("error")]
    assert record["reason"] in node.get("message")


@pytest.mark.parametrize(("plugins", "workers"), [("", ()), ("xdist", ("-n", "2"))], ids=["serial", "n2"])
def test_the_limit_in_a_case_and_in_a_control_is_a_time_out(place, plugins, workers):
    finished = place.ranked(
        "-k", "exact-words or sleepy", "--timeout", LIMIT, *workers, plugins=f"timeout {plugins}"
    )
    assert finished.code == 1, finished.output
    records = by_id(finished)
    assert records.pop("exact-words")["verdict"] == "pass"
    assert set(records) == {"sleepy-words", "control-sleepy_control-words"}
    testcases = place.testcases()
    for identity, record in records.items():
        timed_out(record, testcases[identity])
    control = records["control-sleepy_control-words"]["control"]
    assert control == {"expected": "inference_failed", "verdict": None, "reason_code": None, "reason": None}
    assert "time.sleep(60)" in finished.output, "where it was is shown"


@pytest.mark.parametrize("source", [SLOW_SET_UP, SLOW_TEARDOWN], ids=["set-up", "teardown"])
def test_the_limit_around_a_case_is_a_time_out(place, source):
    (place.directory / "slow_fixture.py").write_text(source)
    finished = place.ranked("-k", "exact-words", "--timeout", LIMIT, plugins="timeout slow_fixture")
    assert finished.code == 1, finished.output
    timed_out(by_id(finished)["exact-words"], place.testcases()["exact-words"])


def test_the_limit_that_ends_the_process_is_the_death_of_a_worker(place):
    finished = place.ranked(
        "-k", "exact-words or sleepy-words", "-n", "2", "--timeout", DEADLY_LIMIT, "--timeout-method", "thread",
        plugins="timeout xdist",
    )  # fmt: skip
    assert finished.code == 1, finished.output
    records = by_id(finished)
    assert records["exact-words"]["verdict"] == "pass"
    assert records["sleepy-words"]["reason_code"] == "worker_died"
    (failure,) = place.testcases()["sleepy-words"].iter("error")
    assert records["sleepy-words"]["reason"] in failure.get("message")


def test_a_time_out_that_runs_again_is_an_attempt(place):
    # Otherwise the limit is for all attempts together, and has none left for the second.
    finished = place.ranked(
        "-k", "sleepy-words", "--timeout", LIMIT, "-o", "timeout_func_only=true", "--reruns", "1", "--retries", "0",
        plugins="timeout rerunfailures",
    )  # fmt: skip
    record = by_id(finished)["sleepy-words"]
    assert [attempt["reason_code"] for attempt in record["attempts"]] == ["timed_out"]
    assert record["reason_code"] == "timed_out"
