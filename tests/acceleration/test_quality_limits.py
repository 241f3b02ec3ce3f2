"""Limits that a task sets for metrics: what is refused, and what the interval and the null band decide."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from bench.acceleration.image_records import MetricBand, NullBand
from bench.acceleration.known_metrics import known_metrics
from bench.acceleration.quality_limits import QualityLimit, judge_limit, read_limits
from bench.core.estimate import Estimate
from bench.metrics.shipped_images import IMAGE_METRICS

KNOWN = known_metrics()


@dataclass
class Found:
    """Scores with one mean and one change."""

    mean_of: tuple[float | None, float | None, float | None] = (0.9, 0.88, 0.92)
    change_of: tuple[float | None, float | None, float | None] = (0.0, -1.0, 1.0)
    baseline: float | None = 50.0
    identical: bool = False
    distance_of: float | None = 1.0
    asked: list[str] = field(default_factory=list)

    def mean(self, column, name=None):
        value, low, high = self.mean_of
        return Estimate(metric=name or column, value=value, low=low, high=high, n=32, reason="none")

    def change(self, name):
        value, low, high = self.change_of
        return Estimate(metric=name, value=value, low=low, high=high, n=32, reason="none")

    def baseline_mean(self, name):
        return self.baseline

    def all_identical(self):
        return self.identical

    def distance(self, name):
        return Estimate(metric=name, value=self.distance_of, n=2000, higher_is_better=False)


def limit(name: str, **asked: object) -> QualityLimit:
    (found,) = read_limits({name: asked}, KNOWN)
    return found


def judged(name: str, found: Found, band: NullBand | None = None, **asked: object) -> tuple[str, str]:
    verdict = judge_limit(limit(name, **asked), found, band)
    return verdict.verdict, verdict.reason_code


# What is refused


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.9, "expected an object of metrics with their limits"),
        ({}, "expected an object of metrics with their limits"),
        ([], "expected an object of metrics"),
        ({"ssin": {"min": 0.9}}, "no metric is named 'ssin'; nearest: ssim"),
        ({"fid": {"max": 3}}, "fid_clip"),
        (
            {"ssim": 0.9},
            "the limit of ssim is 0.9; expected an object with min, max, equal_within or relative_within",
        ),
        ({"ssim": {}}, "the limit of ssim is {}"),
        ({"ssim": {"least": 0.9}}, "the limit of ssim has the unknown key 'least'"),
        ({"ssim": {"min": "0.9"}}, "min of ssim is '0.9'; expected a finite number"),
        ({"ssim": {"min": True}}, "min of ssim is True"),
        ({"ssim": {"min": float("nan")}}, "min of ssim is nan; expected a finite number"),
        ({"ssim": {"max": float("inf")}}, "max of ssim is inf"),
        ({"ssim": {"min": 10**400}}, "min of ssim is 1000"),
        ({"ssim": {"min": None}}, "min of ssim is null"),
        ({"ssim": {"min": 1.2}}, "min of ssim is 1.2; its values go from -1 to 1"),
        ({"flip": {"max": -0.1}}, "max of flip is -0.1; its values go from 0 to 1"),
        ({"ssim": {"min": -1}}, "so that decides nothing; raise it"),
        ({"gmsd": {"max": 1}}, "so that decides nothing; lower it"),
        ({"ssim": {"min": 0.9, "max": 0.8}}, "ssim has min 0.9 and max 0.8; expected min below max"),
        ({"ssim": {"equal_within": 0}}, "equal_within of ssim is 0; expected more than 0"),
        ({"ssim": {"equal_within": "band"}}, "expected a finite number, or 'null_band'"),
        ({"psnr_db": {"equal_within": 3}}, "equal images have no finite value of it; use min or max"),
        ({"ssim": {"relative_within": 0.1}}, "the baseline has no value of its own; use equal_within"),
        ({"cmmd": {"min": 1}}, "cmmd is a distance between the sets of both arms; expected max alone"),
        ({"cmmd": {"equal_within": "null_band"}}, "expected max alone"),
    ],
)
def test_what_cannot_be_judged_is_refused_with_the_metric(value, said):
    with pytest.raises(ValueError, match=r"; |expected") as problem:
        read_limits(value, KNOWN)
    assert said in str(problem.value)


def test_an_unknown_name_says_all_that_are_known():
    with pytest.raises(ValueError, match="known are") as problem:
        read_limits({"quality": {"min": 1}}, KNOWN)
    for name in (
        "clip_score",
        "ms_ssim",
        "gmsd",
        "haarpsi",
        "flip",
        "diversity",
        "cmmd",
        "lpips",
        "image_reward",
    ):
        assert name in str(problem.value)


def test_every_metric_can_be_limited_and_null_lifts_a_safeguard():
    for name, facts in KNOWN.items():
        bound = facts.high - 0.5 if facts.high < float("inf") else 3.5
        assert limit(name, max=bound).most == bound
    (found,) = read_limits({"sharpness": None}, KNOWN)
    assert found.lifted


def test_a_metric_of_a_users_own_can_be_limited(monkeypatch):
    for name in ("_things", "_places"):
        monkeypatch.setattr(IMAGE_METRICS, name, dict(getattr(IMAGE_METRICS, name)))
    IMAGE_METRICS.register("mine", higher_is_better=False, low=0, same=0)(lambda image, reference: 1.0)
    (found,) = read_limits({"mine": {"max": 2, "equal_within": 0.5}}, known_metrics())
    assert (found.most, found.equal_within, found.facts.same) == (2, 0.5, 0)


# What the interval decides


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"min": 0.85}, ("pass", "passed")),
        ({"min": 0.88}, ("pass", "passed")),
        ({"min": 0.9}, ("inconclusive", "quality_undecided")),
        ({"min": 0.95}, ("fail", "quality_lost")),
        ({"max": 0.95}, ("pass", "passed")),
        ({"max": 0.85}, ("fail", "quality_lost")),
        ({"min": 0.85, "max": 0.95}, ("pass", "passed")),
        ({"min": 0.5, "max": 0.6}, ("fail", "quality_lost")),
        ({"min": 0.85, "max": 0.9}, ("inconclusive", "quality_undecided")),
        ({"equal_within": 0.15}, ("pass", "passed")),
        ({"equal_within": 0.1}, ("inconclusive", "quality_undecided")),
        ({"equal_within": 0.05}, ("fail", "quality_lost")),
        ({"min": 0.85, "equal_within": 0.05}, ("fail", "quality_lost")),
    ],
)
def test_a_metric_of_pairs_is_decided_by_its_whole_interval(asked, expected):
    assert judged("ssim", Found(), **asked) == expected


@pytest.mark.parametrize(
    ("change", "asked", "expected"),
    [
        ((0, -1, 1), {"equal_within": 2}, "pass"),
        ((0, -1, 1), {"equal_within": 0.5}, "inconclusive"),
        ((-5, -6, -4), {"equal_within": 2}, "fail"),
        ((5, 4, 6), {"equal_within": 2}, "fail"),  # two-sided: more is as wrong
        ((5, 4, 6), {"relative_within": 0.13}, "pass"),  # 6 of 50
        ((5, 4, 6), {"relative_within": 0.05}, "fail"),
    ],
)
def test_a_metric_of_single_images_is_held_against_the_baselines(change, asked, expected):
    assert judged("contrast", Found(change_of=change), **asked)[0] == expected


def test_nothing_is_relative_to_a_baseline_of_zero():
    verdict = judge_limit(limit("black_share", relative_within=0.1), Found(baseline=0.0), None)
    assert verdict.verdict == "inconclusive"
    assert "the baseline's mean of black_share is 0" in verdict.reason


def test_identical_images_have_no_psnr_and_reach_any():
    nothing = Found(mean_of=(None, None, None), identical=True)
    assert judged("psnr_db", nothing, min=40) == ("pass", "passed")
    assert judged("psnr_db", Found(mean_of=(None, None, None)), min=40)[0] == "inconclusive"


def test_a_metric_without_values_is_undecided():
    nothing = Found(mean_of=(None, None, None), change_of=(None, None, None))
    for name, asked in (
        ("ssim", {"min": 0.9}),
        ("ssim", {"equal_within": 0.1}),
        ("contrast", {"equal_within": 1}),
    ):
        assert judged(name, nothing, **asked) == ("inconclusive", "quality_undecided")


def test_a_distance_of_sets_is_compared_without_an_interval():
    assert judged("cmmd", Found(distance_of=1.0), max=2)[0] == "pass"
    assert judged("cmmd", Found(distance_of=3.0), max=2) == ("fail", "quality_lost")


# The null band


def band(width: float, **of_metrics: float) -> NullBand:
    found = {name: MetricBand(worst=value, width=abs(1 - value)) for name, value in of_metrics.items()}
    return NullBand(images=2, metrics=found | {"contrast": MetricBand(worst=width, width=width)})


def test_a_limit_that_the_baseline_would_miss_fails_nobody_within_its_band():
    strict, near = {"min": 0.999}, Found(mean_of=(0.98, 0.975, 0.985))
    assert judged("ssim", near, **strict) == ("fail", "quality_lost")
    assert judged("ssim", near, band(0, ssim=0.97), **strict) == ("inconclusive", "quality_undecided")
    assert judged("ssim", Found(), band(0, ssim=0.97), **strict) == ("fail", "quality_lost")
    verdict = judge_limit(limit("ssim", **strict), near, band(0, ssim=0.97))
    assert (
        "the baseline against itself is 0.03 away from equal images too; set a limit that it keeps"
        in verdict.reason
    )


def test_equal_within_is_never_narrower_than_the_band():
    moved = Found(change_of=(1.0, 0.5, 1.5))
    assert judged("contrast", moved, equal_within=0.2)[0] == "fail"
    assert judged("contrast", moved, band(2.0), equal_within=0.2)[0] == "pass"


def test_equal_to_the_null_band_is_a_few_times_its_width():
    moved = Found(change_of=(1.0, 0.5, 1.5))
    assert judged("contrast", moved, band(1.0), equal_within="null_band")[0] == "pass"
    assert judged("contrast", moved, band(0.1), equal_within="null_band")[0] == "fail"
    assert judged("contrast", moved, None, equal_within="null_band")[0] == "fail"
    same = Found(change_of=(0.0, 0.0, 0.0))
    assert judged("contrast", same, band(0.0), equal_within="null_band")[0] == "pass"
