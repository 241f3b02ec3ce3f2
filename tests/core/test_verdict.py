"""Verdicts: closed lists of words, how several become one, and what an exception means."""

import re

import pytest

from bench.core.errors import (
    REASON_CODES,
    ArmProblem,
    CaseProblem,
    ModelProblem,
    ScoringProblem,
    TaskProblem,
    add_reason_codes,
)
from bench.core.verdict import PASSED, VERDICTS, Outcome, Verdict, judge_control, verdict_of, worst

FAIL = Verdict("fail", "speedup_missed", "too slow")
UNDECIDED = Verdict("inconclusive", "quality_undecided", "who knows")


@pytest.mark.parametrize("words", [("passed", "passed"), ("pass", "pass"), ("pass", ""), ("FAIL", "crashed")])
def test_words_outside_the_closed_lists_are_refused(words):
    with pytest.raises(
        ValueError, match=re.escape(f"unknown verdict {words[0]!r} or reason code {words[1]!r}")
    ):
        Verdict(*words, "")
    with pytest.raises(ValueError, match="unknown reason code 'exploded'"):
        ArmProblem("exploded", "", role="candidate")


def test_every_word_of_the_lists_is_accepted_and_explained():
    for code, meaning in REASON_CODES.items():
        assert meaning
        for verdict in VERDICTS:
            Verdict(verdict, code, "")


def test_verdict_holds_when_it_is_a_pass_and_cannot_be_changed():
    assert [word for word in VERDICTS if Verdict(word, "passed", "").holds] == ["pass"]
    with pytest.raises(AttributeError):
        Verdict("fail", "crashed", "").verdict = "pass"


def test_a_kind_adds_reason_codes_but_changes_none(monkeypatch):
    monkeypatch.setattr("bench.core.errors.REASON_CODES", dict(REASON_CODES))
    add_reason_codes({"toy_broken": "the toy is broken"})
    add_reason_codes({"toy_broken": "the toy is broken"})
    with pytest.raises(ValueError, match="'toy_broken' is taken: the toy is broken"):
        add_reason_codes({"toy_broken": "something else"})


@pytest.mark.parametrize(
    ("verdicts", "decides"),
    [
        ([PASSED, UNDECIDED, FAIL], FAIL),
        ([PASSED, UNDECIDED], UNDECIDED),
        ([FAIL, Verdict("error", "crashed", "bang")], Verdict("error", "crashed", "bang")),
    ],
)
def test_the_worst_verdict_decides(verdicts, decides):
    assert worst(verdicts) == decides


def test_reasons_of_passes_are_joined():
    assert worst([Verdict("pass", "passed", "a"), PASSED, Verdict("pass", "passed", "b")]).reason == "a; b"
    assert worst([]).holds


def test_an_outcome_has_its_gates_as_attributes_and_lists_them_where_one_is_missing():
    outcome = Outcome({"quality": PASSED, "speedup": FAIL})
    assert outcome.quality.holds
    assert (outcome.holds, outcome.reason) == (False, "too slow")
    assert [name for name, _ in outcome] == ["quality", "speedup"]
    with pytest.raises(AttributeError, match="no gate is named 'latency'; the gates are quality, speedup"):
        _ = outcome.latency


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TaskProblem("a"), "task_invalid"),
        (ScoringProblem("a"), "scoring_failed"),
        (CaseProblem("crashed", "a"), "crashed"),
        (ModelProblem("a"), "model_failed"),
        (ArmProblem("timed_out", "a", role="candidate"), "timed_out"),
    ],
)
def test_an_error_of_ours_says_what_it_means(error, code):
    assert verdict_of(error) == Verdict("error", code, "a")


def test_any_other_error_is_ours_to_fix():
    assert verdict_of(KeyError("x\ny")) == Verdict("error", "internal_error", "KeyError: 'x\\ny'")


@pytest.mark.parametrize("word", ["fail", "error", "inconclusive"])
def test_a_control_passes_when_it_is_rejected_for_its_own_reason(word):
    found = judge_control("crashed", Verdict(word, "crashed", "bang"))
    assert (found.verdict, found.reason_code) == ("pass", "rejected_as_expected")


@pytest.mark.parametrize("found", [PASSED, FAIL, UNDECIDED, Verdict("skip", "crashed", "")])
def test_a_control_fails_when_it_is_not_rejected_or_for_another_reason(found):
    judged = judge_control("crashed", found)
    assert (judged.verdict, judged.reason_code) == ("fail", "not_rejected")
