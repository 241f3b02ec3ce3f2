"""pytest-rerunfailures and pytest-retry: one record and one test case per case, earlier attempts kept."""

from __future__ import annotations

import pytest
from comparing import by_id
from other_plugins import VERDICTS, needs_plugins, properties, verdicts

pytestmark = [pytest.mark.slow, needs_plugins]

RERUN = ("rerunfailures", ("--reruns", "2"))
RETRY = ("pytest-retry", ("--retries", "2"))
SERIAL, WORKER = ("", ()), ("xdist", ("-n", "1"))


@pytest.mark.parametrize(("distribution", "workers"), [SERIAL, WORKER], ids=["serial", "n1"])
@pytest.mark.parametrize(("plugin", "again"), [RERUN, RETRY], ids=["rerunfailures", "retry"])
def test_each_attempt_is_kept_and_the_last_one_decides(place, plugin, again, distribution, workers):
    finished = place.evaluated(*again, *workers, plugins=f"{plugin} {distribution}")
    assert finished.code == 1, finished.output
    assert verdicts(finished) == VERDICTS, finished.output
    for identity, record in by_id(finished).items():
        attempts = record["attempts"]
        assert len(attempts) == (0 if record["verdict"] == "pass" else 2), identity
        for attempt in attempts:
            assert attempt["reason"] == record["reason"]
            assert set(attempt) == {"verdict", "reason_code", "reason", "duration_s"}
    testcases = place.testcases()
    assert set(testcases) == set(VERDICTS)
    for identity, testcase in testcases.items():
        record = by_id(finished)[identity]
        assert properties(testcase)["verdict"] == record["verdict"]
        messages = [one.get("message") for one in testcase.iter("failure")]
        assert messages == ([] if record["verdict"] == "pass" else [record["reason"]])


@pytest.mark.parametrize(("distribution", "workers"), [SERIAL, WORKER], ids=["serial", "n1"])
@pytest.mark.parametrize(("plugin", "again"), [RERUN, RETRY], ids=["rerunfailures", "retry"])
def test_a_case_that_passes_at_last_is_green_and_its_lease_was_given_back(
    place, plugin, again, distribution, workers
):
    # With --exclusive, an attempt that still held its cores would keep the next one waiting.
    finished = place.ranked(
        "-k",
        "exact-words or flaky-words",
        "--exclusive",
        *again,
        *workers,
        plugins=f"{plugin} {distribution}",
    )
    assert finished.code == 0, finished.output
    records = by_id(finished)
    assert verdicts(finished) == {"exact-words": "pass", "flaky-words": "pass"}
    (attempt,) = records["flaky-words"]["attempts"]
    assert (attempt["verdict"], attempt["reason_code"]) == ("error", "inference_failed")
    assert "the index is away" in attempt["reason"]
    assert records["flaky-words"]["output_tail"] is None
    testcase = place.testcases()["flaky-words"]
    assert list(testcase.iter("failure")) == []
    assert properties(testcase)["verdict"] == "pass"


@pytest.mark.parametrize("retries", ["0", "1"])
def test_a_case_whose_worker_died_runs_again_and_the_death_is_an_attempt(place, retries):
    finished = place.ranked(
        "-k", "exact-words or dying-words", "-n", "2", "--reruns", "1", "--retries", retries,
        plugins="rerunfailures xdist",
    )  # fmt: skip
    assert verdicts(finished) == {"exact-words": "pass", "dying-words": "pass"}, finished.output
    (attempt,) = by_id(finished)["dying-words"]["attempts"]
    assert (attempt["reason_code"], attempt["duration_s"]) == ("worker_died", None)
    assert set(place.testcases()) == {"exact-words", "dying-words"}
    assert finished.code == 0, finished.output


@pytest.mark.parametrize(("plugin", "again"), [RERUN, RETRY], ids=["rerunfailures", "retry"])
def test_an_inconclusive_case_that_counts_as_skipped_is_not_run_again(place, plugin, again):
    finished = place.evaluated("-k", "maybe or good", "--inconclusive", "skip", *again, plugins=plugin)
    assert finished.code == 0, finished.output
    record = by_id(finished)["evaluated-maybe"]
    assert (record["verdict"], record["attempts"]) == ("inconclusive", [])


def test_the_name_that_another_plugin_has_taken_is_its_own_and_ours_has_a_second_one(place):
    # pytest-retry would run the case again that fails; ours would run the one again whose worker died.
    finished = place.evaluated(
        "-k", "bad", "--retries", "1", "--infrastructure-retries", "0", plugins="pytest-retry"
    )
    assert len(by_id(finished)["evaluated-bad"]["attempts"]) == 1, finished.output
    arguments = ("-k", "dying-words", "-n", "1", "--retries", "3")
    finished = place.ranked(*arguments, "--infrastructure-retries", "0", plugins="pytest-retry xdist")
    record = by_id(finished)["dying-words"]
    assert (record["reason_code"], record["attempts"]) == ("worker_died", []), finished.output
