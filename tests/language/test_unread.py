"""A score of which too many answers could not be read decides nothing, and the summary says so."""

from __future__ import annotations

import pytest
from language_toys import DATASET, Place, Toy, keep_registered

from bench.core.errors import UsageProblem
from bench.core.record import Score
from bench.core.requirement import parse_requirement
from bench.core.verdict import PASSED, Verdict
from bench.language.library import DATASETS
from bench.language.unread import Unread, parse_percent

WRITTEN = (
    DATASET.replace("LogLikelihood", "Generation")
    .replace('choices=(" yes", " no"), ', 'postprocess=("first_number",), ')
    .replace('prompt="{q}"', 'prompt="{q}", gold="answer"')
)


class Writer(Toy):
    """Writes what the end of the question says."""

    def generate(self, prompts, max_out_len, stop, seeds, done):
        for index, prompt in enumerate(prompts):
            done(index, " I do not know." if prompt.endswith("unread") else f" {prompt.split()[-1]}")


@pytest.fixture
def place(tmp_path, monkeypatch):
    keep_registered(monkeypatch, DATASETS)
    place = Place(tmp_path)
    place.declare(WRITTEN)
    return place


def evaluated(place, unread, right=20, run="run", of=20, **fields):
    """Return a case of which some answers cannot be read, and of the others some are right."""
    read = of - unread
    place.write(
        [{"q": f"{i} unread", "answer": "1"} for i in range(unread)]
        + [{"q": f"{i} 1", "answer": "1" if i < right else "2"} for i in range(read)]
    )
    evaluation = place.evaluation(Writer(), run=run, **fields)
    evaluation.infer()
    return evaluation.evaluate(), evaluation.record


@pytest.mark.parametrize(
    ("unread", "verdict"), [(0, "pass"), (4, "pass"), (5, "inconclusive"), (20, "inconclusive")]
)
def test_more_than_a_fifth_unread_decides_nothing(place, unread, verdict):
    outcome, record = evaluated(place, unread)
    assert (outcome.verdict.verdict, record.verdict) == (verdict, verdict)
    assert record.score.unparsed == unread
    if verdict == "inconclusive":
        assert record.reason_code == "answers_unparsed"
        assert f"{unread} of 20 answers could not be read ({5 * unread} %)" in record.reason
        assert "expected at most 20 % (--max-unparsed)" in record.reason
        assert record.warnings == [outcome.reason.split("; expected")[0]]
    else:
        assert record.warnings == []


@pytest.mark.parametrize(
    ("limit", "verdict", "warns"), [(10, "inconclusive", True), (30, "pass", False), (100, "pass", False)]
)
def test_the_limit_is_a_choice(place, limit, verdict, warns):
    outcome, record = evaluated(place, 6, max_unparsed=limit)
    assert outcome.verdict.verdict == verdict
    assert bool(record.warnings) == warns


def test_most_answers_unread_are_told_whatever_the_limit(place):
    outcome, record = evaluated(place, 11, max_unparsed=100)
    assert outcome.verdict.holds
    assert "11 of 20 answers could not be read" in record.warnings[0]


@pytest.mark.parametrize("required", [1, 99])
def test_neither_a_pass_nor_a_fail_comes_of_answers_that_were_not_read(place, required):
    outcome, _ = evaluated(place, 12, case={"min_score": required})
    assert outcome.score.reason_code == "answers_unparsed"
    requirement = parse_requirement("language:toy.accuracy>=1%", ["language"])
    outcome, _ = evaluated(place, 12, run="more", context={"requirements": (requirement,)})
    assert [verdict.reason_code for name, verdict in outcome if name.startswith("required")] == [
        "answers_unparsed"
    ]


def test_a_comparison_with_a_run_is_not_decided_either(place):
    evaluated(place, 12)
    outcome, record = evaluated(place, 12, run="again", reference=place.root / "run")
    assert outcome.reference.reason_code == "answers_unparsed"
    assert record.body.reference.difference == 0.0


def test_an_error_stays_an_error_and_cuts_are_counted():
    score = Score(metric="accuracy", value=0.0, n=4, unparsed=3)
    unread = Unread.of(score, [{"cut": True}, {"cut": True}, {"cut": True}, {}], 20)
    assert (unread.percent, unread.cut, unread.is_too_much) == (75.0, 3, True)
    assert "3 of 4 were cut at the limit of their length; raise --max-out-len" in unread.text()
    error = Verdict("error", "predictions_missing", "none")
    assert unread.verdict(error) is error
    assert not unread.verdict(PASSED).holds
    assert not Unread.of(Score(), [], 20).is_too_much


@pytest.mark.parametrize(
    ("text", "number"),
    [("20", 20), ("20%", 20), ("0", 0), ("0.5%", 0.5), ("12.5 %", 12.5), ("100", 100), ("1", 1)],
)
def test_a_percentage_is_read(text, number):
    assert parse_percent(text, "--max-unparsed") == number


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0.2", "write 0.2% or 20%"),
        ("101", "from 0 to 100"),
        ("-1", "from 0"),
        ("many", "such as 20%"),
        ("２０", "from 0"),
    ],
)
def test_what_is_no_percentage_is_refused(text, said):
    with pytest.raises(UsageProblem, match=f"^--max-unparsed {text}: .*{said}"):
        parse_percent(text, "--max-unparsed")
