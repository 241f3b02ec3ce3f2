"""Attempts: what an item forgets between two, and what the run knows of those of several processes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from toys import ToyCase, record

from bench.core.verdict import Verdict
from bench.run.attempts import TRIAL, EarlierAttempts, begin_trial, unfinished
from bench.run.outcome import status_words
from bench.run.time_limit import timeout_verdict


def item():
    return SimpleNamespace(stash=pytest.Stash(), user_properties=[("own", 1)])


def report(outcome, worker="", node=None):
    made = SimpleNamespace(nodeid="toy", outcome=outcome, when="call", node=node)
    if worker:
        made.worker_id = worker
    return made


def plain(verdict="fail", attempts=(), reason="because"):
    return {**record(verdict, reason=reason).to_json(), "attempts": list(attempts)}


def told(attempts):
    return [attempt["reason"] for attempt in attempts]


def test_a_fresh_attempt_begins_with_nothing_of_the_one_before_but_how_it_ended():
    one = item()
    first = begin_trial(one)
    first.reported = record("fail", reason="too slow")
    one.user_properties.append(("verdict", "fail"))
    second = begin_trial(one)
    assert (second.evaluated, second.reported, second.error) == (None, None, None)
    assert one.user_properties == [("own", 1)]
    assert [(attempt.verdict, attempt.reason) for attempt in second.earlier] == [("fail", "too slow")]
    second.error = OSError("away")
    assert [attempt.reason for attempt in begin_trial(one).earlier] == ["too slow", "OSError: away"]
    assert one.stash[TRIAL].properties == [("own", 1)]


def test_an_attempt_that_no_report_tells_of_ended_as_its_evaluation_or_its_error():
    trial = begin_trial(item())
    trial.evaluated = record("inconclusive", reason="wide")
    assert trial.ended().reason == "wide"
    trial.evaluated = ToyCase("toy").blank()
    trial.error = ValueError("no number")
    assert (trial.ended().verdict, trial.ended().reason) == ("error", "ValueError: no number")


def test_attempts_that_are_reported_and_told_again_are_known_once():
    known = EarlierAttempts()
    first, second = plain(reason="one"), plain(reason="two")
    attempt = {name: first[name] for name in ("verdict", "reason_code", "reason", "duration_s")}
    assert told(known.add(report("rerun"), first)) == ["one"]
    assert told(known.add(report("rerun"), {**second, "attempts": [attempt]})) == ["one", "two"]
    assert told(known.add(report("passed"), plain("pass", [attempt, {**attempt, "reason": "two"}]))) == [
        "one", "two",
    ]  # fmt: skip


def test_attempts_of_a_worker_that_died_are_kept_with_its_death():
    known = EarlierAttempts()
    known.add(report("rerun", "gw0"), plain(reason="one"))
    gone = SimpleNamespace(gateway=SimpleNamespace(id="gw0"))
    known.add(report("rerun", node=gone), plain(reason="died"))
    assert told(known.add(report("passed", "gw2"), plain("pass"))) == ["one", "died"]
    assert known.add(SimpleNamespace(nodeid="other", outcome="passed"), plain("pass")) == []


def test_between_two_attempts_a_case_is_not_run():
    made = unfinished(ToyCase("toy").blank(), plain()["attempts"] + [record("fail").to_json()])
    assert (made["verdict"], made["reason_code"], len(made["attempts"])) == ("error", "not_run", 1)


@pytest.mark.parametrize("outcome", ["rerun", "retried", "subpassed"])
def test_the_words_of_an_outcome_of_another_plugin_are_left_to_it(outcome):
    known = SimpleNamespace(modelgate_record=plain(), modelgate_words="2x", outcome="failed", when="call")
    assert status_words(known) == ("failed", "F", "FAILED 2x")
    known.outcome = outcome
    assert status_words(known) is None


def test_an_expected_failure_is_left_to_pytest():
    known = SimpleNamespace(
        modelgate_record=plain(), modelgate_words="", outcome="skipped", when="call", wasxfail=""
    )
    assert status_words(known) is None


def failure(message):
    try:
        pytest.fail(message)
    except pytest.fail.Exception as error:
        return error


def test_only_the_message_of_the_time_limit_is_a_time_out():
    found = timeout_verdict(failure("Timeout (>2.0s) from pytest-timeout."))
    assert isinstance(found, Verdict)
    assert (found.verdict, found.reason_code) == ("error", "timed_out")
    assert "more than 2.0 s" in found.reason
    assert timeout_verdict(failure("no")) is None
    circle = ValueError("in a circle")
    circle.__cause__ = circle
    assert timeout_verdict(circle) is None
    assert timeout_verdict(ValueError("Timeout (>2.0s)")) is None
    assert timeout_verdict(None) is None
    cleaning = OSError("gone")
    cleaning.__context__ = failure("Timeout (>3.0s) from pytest-timeout.")
    assert "3.0 s" in timeout_verdict(cleaning).reason
