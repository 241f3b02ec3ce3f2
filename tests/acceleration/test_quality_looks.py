"""Quality is looked at on half of the samples where the rounds left enough to be made, and both looks are paid for."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from records import case

from bench.acceleration.evaluation import AccelerationEvaluation
from bench.acceleration.prompts import Sample, SampleStream
from bench.acceleration.quality import PairScores
from bench.acceleration.timing import TimingPlan
from bench.core.estimate import Estimate
from bench.core.evaluation import RunContext
from bench.core.requirement import parse_requirement

CLEAR, LOST, NEAR = (0.0, 0.01), (0.2, 0.3), (0.01, 0.08)


class Scoring:
    """Gives the intervals of the loss that a test names, look by look."""

    def __init__(self, intervals: list[tuple[float, float]]) -> None:
        self.intervals = list(intervals)
        self.asked: list[tuple[int, float]] = []

    def compare(self, samples: list[Sample], *_: object, look_alpha: float, **__: object) -> PairScores:
        self.asked.append((len(samples), look_alpha))
        low, high = self.intervals.pop(0)
        loss = Estimate(
            metric="quality_loss", value=(low + high) / 2, low=low, high=high, higher_is_better=False
        )
        return PairScores(loss, 30.0, 29.0, [])


def evaluated(
    intervals: list[tuple[float, float]], *, require: tuple[str, ...] = (), problems: tuple[str, ...] = ()
):
    """Return an evaluation of 32 samples, its scoring, and the numbers of samples that its pair was asked to complete."""
    scoring, completed = Scoring(intervals), []
    asked = tuple(parse_requirement(text, ("acceleration",)) for text in require)
    evaluation = AccelerationEvaluation(
        case(metrics=("speedup", "ssim")), RunContext(Path("/nowhere"), Path("/nowhere"), requirements=asked),
        SimpleNamespace(
            plan=TimingPlan(batch_size=2), cache=None, arms=SimpleNamespace(gpu=None), scoring=scoring,
            extra_metrics=(), has_safeguards=False,
            samples=SampleStream(tuple(Sample("a", seed) for seed in range(32)), 0),
        ),
    )  # fmt: skip
    evaluation._pair = SimpleNamespace(
        complete=lambda calls, count: completed.append(count), asking_both=nullcontext, noun="image", baseline=None,
        outputs=lambda count: {"baseline": [None] * count, "candidate": [None] * count},
        output_problems=lambda any_size: list(problems),
    )  # fmt: skip
    evaluation._references = SimpleNamespace(baseline_identity=lambda arm: [])
    return evaluation, scoring, completed


def scored(intervals: list[tuple[float, float]], *, calls: int, require: tuple[str, ...] = ()):
    """Return the verdict of a case with 32 samples, of which as many batches of two are there, and what was asked."""
    evaluation, scoring, completed = evaluated(intervals, require=require)
    verdict = evaluation._score(calls)["quality"]
    assert completed == [count for count, _ in scoring.asked]
    assert evaluation.body.quality.samples == completed[-1]
    return verdict, scoring.asked


@pytest.mark.parametrize(("interval", "word"), [(CLEAR, "pass"), (LOST, "fail")])
def test_half_of_the_samples_are_enough_where_they_decide(interval: tuple[float, float], word: str) -> None:
    verdict, asked = scored([interval], calls=4)
    assert (verdict.verdict, asked) == (word, [(16, 0.0294)])


@pytest.mark.parametrize(("last", "word"), [(CLEAR, "pass"), (LOST, "fail"), (NEAR, "inconclusive")])
def test_all_of_them_are_scored_where_half_did_not_decide(last: tuple[float, float], word: str) -> None:
    verdict, asked = scored([NEAR, last], calls=4)
    assert (verdict.verdict, asked) == (word, [(16, 0.0294), (32, 0.0294)])


@pytest.mark.parametrize(
    ("calls", "counts"), [(1, [16, 32]), (8, [16, 32]), (11, [22, 32]), (13, [32]), (40, [32])]
)
def test_what_the_rounds_have_made_already_is_scored_and_one_look_costs_nothing(
    calls: int, counts: list[int]
) -> None:
    _, asked = scored([NEAR] * len(counts), calls=calls)
    assert [count for count, _ in asked] == counts
    assert {alpha for _, alpha in asked} == {0.0294 if len(counts) == 2 else 0.05}


def test_what_the_run_requires_of_a_metric_counts_all_samples() -> None:
    assert scored([CLEAR], calls=4, require=("acceleration:ssim>=0.9",))[1] == [(32, 0.05)]
    assert scored([CLEAR], calls=4, require=("acceleration:speedup>=0.9",))[1] == [(16, 0.0294)]


@pytest.mark.parametrize(("interval", "stops"), [(CLEAR, False), (NEAR, False), (LOST, True)])
def test_a_pair_whose_images_have_failed_is_not_launched_again(
    interval: tuple[float, float], stops: bool
) -> None:
    evaluation, scoring, completed = evaluated([interval])
    assert evaluation._cannot_pass() == stops
    assert evaluation._cannot_pass() == stops
    evaluation._score(40)
    assert scoring.asked == [(32, 0.05)], "they are scored once"
    assert completed == []


def test_images_that_are_no_images_end_it_too() -> None:
    evaluation, scoring, _ = evaluated([], problems=("3 of 8 images are one flat colour",))
    assert evaluation._cannot_pass()
    assert scoring.asked == []
