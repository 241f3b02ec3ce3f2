"""The table of kinds whose records have metrics: no cell is empty, and the score is always in it."""

from __future__ import annotations

from bench.core.estimate import Estimate
from bench.core.record import Control, Gain, Record, Score
from bench.core.verdict import Verdict
from bench.report.metric_table import describe_gain, metric_headline, metric_rows, metric_section


def estimate(metric: str, value: float = 0.5, **more) -> Estimate:
    return Estimate(metric=metric, value=value, low=value - 0.1, high=value + 0.1, n=9, **more)


def record(name: str, *metrics: str, score: str | None = None, **more) -> Record:
    made = Record(id=name, kind="toy", score=Score(), **more)
    if metrics:
        made.metrics = {metric: estimate(metric) for metric in metrics}
        made.score = Score(metric=score or metrics[0], value=0.5, low=0.4, high=0.6, n=9)
        made.gain = Gain(metric=made.score.metric, over="a guess", value=0.25, low=-0.125, high=0.5)
        made.apply(Verdict("pass", "passed", ""))
    return made


def test_columns_are_what_is_shown_and_found_and_each_record_s_score():
    rows = metric_rows(
        [record("one", "a", "b", "c"), record("two", "b", "own", score="own")], ("b", "a", "z")
    )
    assert rows == [
        ("case", "verdict", "n", "b", "a", "own", "gain over the trivial"),
        (
            "one", "pass", "9", "0.500 [0.400, 0.600]", "0.500 [0.400, 0.600]", "not asked",
            "0.250 [-0.125, 0.500]",
        ),
        (
            "two", "pass", "9", "0.500 [0.400, 0.600]", "not asked", "0.500 [0.400, 0.600]",
            "0.250 [-0.125, 0.500]",
        ),
    ]  # fmt: skip


def test_a_case_that_failed_has_marked_cells_and_a_rejected_control_says_so():
    failed = record("failed")
    failed.apply(Verdict("error", "training_failed", "because"))
    control = record("control", "a", control=Control(expected="baseline_not_beaten"))
    control.settle(Verdict("fail", "baseline_not_beaten", "because"))
    section = metric_section("toy", [failed, control], ("a",))
    assert section.rows[1] == ("failed", "error", "-", "ERROR: training_failed", "ERROR: training_failed")
    assert section.rows[2][:2] == ("control", "pass (rejected)")
    assert section.notes == ["controls: 1 of 1 rejected for the reason they were written for"]
    assert metric_section("toy", [failed], ("a",)).notes == []


def test_headline_and_reason_show_the_gain_with_its_sign():
    made = record("one", "a")
    assert metric_headline(made) == "a 0.500 [0.400, 0.600] of 9, +0.250 [-0.125, +0.500] over a guess"
    assert describe_gain(made.gain) == "gain in a +0.25 [-0.125, +0.5] over a guess"
    assert describe_gain(Gain(metric="a", over="a guess", value=0.25)) == "gain in a +0.25 over a guess"
    assert metric_headline(record("nothing")) == ""
