"""Limits that a task sets for metrics: the field ``quality``, read and judged.

    "quality": {"ms_ssim": {"min": 0.9}, "contrast": {"relative_within": 0.1}, "flip": {"equal_within": "null_band"},
                "sharpness": null}

``min`` and ``max`` bound the candidate's mean. ``equal_within`` asks for equivalence: with the baseline where a metric looks
at single images, with the value of equal images where it compares two. ``relative_within`` is a fraction of the baseline's
mean. null takes a safeguard back (`bench.acceleration.safeguards`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from msgspec.structs import replace

from bench.acceleration.image_records import NullBand
from bench.core.estimate import Estimate
from bench.core.gate import Limit, describe, gate
from bench.core.names import quoted
from bench.core.registry import no_such
from bench.core.verdict import Verdict
from bench.statistics.equivalence import equivalence

NULL_BAND = "null_band"
"""In place of a number in ``equal_within``: as far from equal as the baseline is from itself."""
_BOUNDS = ("min", "max", "equal_within", "relative_within")
# How many times the null band counts as equal: it is the greatest of a few images.
_BAND_FACTOR = 3.0
_RESOLUTION = 1e-3  # of the range of a metric, where the band is narrower
_MISSED, _UNDECIDED = "quality_lost", "quality_undecided"


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """What a limit has to know of a metric.

    Attributes:
        low, high: ends of its range.
        same: value of equal images; None where a metric compares none, or there is no finite one.
        of_baseline: whether the baseline has a value of its own.
        least_images: how many images of each arm it needs; it has no interval then.
    """

    low: float = -math.inf
    high: float = math.inf
    same: float | None = None
    of_baseline: bool = False
    least_images: int = 0


@dataclass(frozen=True, slots=True)
class QualityLimit:
    """What one metric must keep.

    Attributes:
        metric: its name.
        least, most: of the candidate's mean; None is not bounded.
        equal_within: distance from equal that is allowed, or `NULL_BAND`.
        relative_within: the same as a fraction of the baseline's mean.
        lifted: whether the safeguard of the metric is taken back, and nothing is asked.
    """

    metric: str
    least: float | None = None
    most: float | None = None
    equal_within: float | str | None = None
    relative_within: float | None = None
    lifted: bool = False
    facts: MetricFacts = field(default_factory=MetricFacts)


class MeasuredPair(Protocol):
    """What limits and safeguards are held against; `bench.acceleration.quality.PairScores` is one."""

    def mean(self, column: str, name: str | None = None) -> Estimate:
        """Return the candidate's mean of a metric."""

    def change(self, name: str) -> Estimate:
        """Return the mean change from the baseline."""

    def baseline_mean(self, name: str) -> float | None:
        """Return the baseline's mean."""

    def all_identical(self) -> bool:
        """Whether all images are the baseline's."""

    def distance(self, name: str) -> Estimate:
        """Return a distance between the sets of both arms, without an interval."""


def read_limits(value: object, known: Mapping[str, MetricFacts]) -> tuple[QualityLimit, ...]:
    """Return the limits of a field ``quality``.

    Args:
        value: as JSON holds it.
        known: the metrics by name.

    Raises:
        ValueError: what was expected; the message names the metric.
    """
    if not isinstance(value, dict) or not value:
        raise ValueError(
            'expected an object of metrics with their limits, such as {"ms_ssim": {"min": 0.9}}; correct it'
        )
    repeated = getattr(value, "repeated", ())
    if repeated:
        raise ValueError(
            f"{', '.join(repeated)} is given more than once; expected each metric once; keep one"
        )
    return tuple(_read_limit(name, asked, known) for name, asked in value.items())


def _read_limit(name: str, asked: object, known: Mapping[str, MetricFacts]) -> QualityLimit:
    if name not in known:
        raise ValueError(f"{no_such('metric', name, known)}; known are {', '.join(known)}; correct the name")
    facts = known[name]
    if asked is None:
        return QualityLimit(name, lifted=True, facts=facts)
    expected = (
        f"expected an object with {', '.join(_BOUNDS[:-1])} or {_BOUNDS[-1]}, or null to lift its safeguard"
    )
    if not isinstance(asked, dict) or not asked:
        raise ValueError(f"the limit of {name} is {_shown(asked)}; {expected}; correct it")
    repeated: tuple[str, ...] = getattr(asked, "repeated", ())
    unknown = [key for key in asked if key not in _BOUNDS]
    if unknown or repeated:
        what = f"the unknown key {unknown[0]!r}" if unknown else f"{repeated[0]!r} more than once"
        raise ValueError(f"the limit of {name} has {what}; {expected}; correct it")
    for key, bound in asked.items():
        if key == "equal_within" and bound == NULL_BAND:
            continue
        if isinstance(bound, bool) or not isinstance(bound, int | float) or not _is_finite(bound):
            also = f", or {NULL_BAND!r}" if key == "equal_within" else ""
            raise ValueError(
                f"{key} of {name} is {_shown(bound)}; expected a finite number{also}; correct it"
            )
    _check_bounds(name, asked, facts)
    return QualityLimit(
        name, asked.get("min"), asked.get("max"), asked.get("equal_within"), asked.get("relative_within"),
        facts=facts,
    )  # fmt: skip


def _check_bounds(name: str, asked: Mapping[str, Any], facts: MetricFacts) -> None:
    """Refuse bounds that nothing can reach, or that nothing can miss."""
    if facts.least_images and set(asked) != {"max"}:
        raise ValueError(
            f"{name} is a distance between the sets of both arms; expected max alone; correct it"
        )
    least, most = asked.get("min"), asked.get("max")
    ends = f"from {facts.low:g} to {facts.high:g}"
    for key, bound in (("min", least), ("max", most)):
        if bound is not None and not facts.low <= bound <= facts.high:
            raise ValueError(f"{key} of {name} is {bound:g}; its values go {ends}; correct it")
    if least is not None and least == facts.low and most is None:
        raise ValueError(
            f"min of {name} is {least:g}; its values go {ends}, so that decides nothing; raise it"
        )
    if most is not None and most == facts.high and least is None:
        raise ValueError(
            f"max of {name} is {most:g}; its values go {ends}, so that decides nothing; lower it"
        )
    if least is not None and most is not None and least >= most:
        raise ValueError(f"{name} has min {least:g} and max {most:g}; expected min below max; correct them")
    within = [(key, asked[key]) for key in ("equal_within", "relative_within") if key in asked]
    for key, bound in within:
        if bound != NULL_BAND and bound <= 0:
            raise ValueError(f"{key} of {name} is {bound:g}; expected more than 0; correct it")
        if facts.same is None and not facts.of_baseline:
            raise ValueError(
                f"{key} of {name} cannot be judged: equal images have no finite value of it; use min or max"
            )
    if "relative_within" in asked and not facts.of_baseline:
        raise ValueError(
            f"relative_within of {name} cannot be judged: the baseline has no value of its own; use equal_within"
        )


def judge_limit(limit: QualityLimit, scores: MeasuredPair, band: NullBand | None) -> Verdict:
    """Hold a metric against what a task asks of it, by its interval and by the null band.

    Args:
        limit: one that is not lifted.
        scores: of the pair.
        band: of the baseline against itself; None where it was not measured.
    """
    name = limit.metric
    if limit.facts.least_images:
        return _judge_distance(limit, scores)
    verdicts = []
    if limit.least is not None or limit.most is not None:
        verdicts.append(_judge_range(limit, scores, band))
    margin, centre, found = None, limit.facts.same or 0.0, scores.mean(name)
    if limit.facts.of_baseline:
        centre, found = 0.0, replace(scores.change(name), metric=f"change of {name}")
    if limit.equal_within is not None:
        margin = _margin(limit, band, scores)
        verdicts.append(_judge_equal(found, centre, margin, limit, band))
    if limit.relative_within is not None:
        mean = scores.baseline_mean(name)
        if not mean:
            verdicts.append(
                Verdict(
                    "inconclusive",
                    _UNDECIDED,
                    f"inconclusive: the baseline's mean of {name} is {'not known' if mean is None else 0}, so nothing "
                    "is relative to it; use equal_within",
                )
            )
        else:
            verdicts.append(_judge_equal(found, centre, limit.relative_within * abs(mean), limit, band))
    return next(one for word in ("fail", "inconclusive", "pass") for one in verdicts if one.verdict == word)


def _judge_range(limit: QualityLimit, scores: MeasuredPair, band: NullBand | None) -> Verdict:
    found = scores.mean(limit.metric)
    if (
        found.value is None
        and limit.facts.same is None
        and limit.least is not None
        and scores.all_identical()
    ):
        return Verdict("pass", "passed", f"{limit.metric}: all images are identical to the baseline's")
    verdicts = []
    for bound, at_most in ((limit.least, False), (limit.most, True)):
        if bound is None:
            continue
        verdict = gate(
            found,
            Limit(
                bound=bound, at_most=at_most, missed=_MISSED, undecided=_UNDECIDED,
                advice="accelerate less aggressively", more="raise --num-samples",
            ),
        )  # fmt: skip
        verdicts.append(_within_band(verdict, found, limit, band))
    return next(one for word in ("fail", "inconclusive", "pass") for one in verdicts if one.verdict == word)


def _within_band(verdict: Verdict, found: Estimate, limit: QualityLimit, band: NullBand | None) -> Verdict:
    """Return the verdict, undecided where the baseline itself would miss the limit and the candidate is no further away."""
    width, same = 0.0 if band is None else band.width_of(limit.metric), limit.facts.same
    if verdict.verdict != "fail" or same is None or not width:
        return verdict
    if equivalence(found, same, width) == "different":
        return verdict
    return Verdict(
        "inconclusive",
        _UNDECIDED,
        f"inconclusive: {verdict.reason.partition(';')[0]}, but the baseline against itself is {width:.3g} away from equal "
        "images too; set a limit that it keeps",
    )


def _margin(limit: QualityLimit, band: NullBand | None, scores: MeasuredPair) -> float:
    """Return what counts as equal: what is asked for, and never less than the null band."""
    facts, width = limit.facts, 0.0 if band is None else band.width_of(limit.metric)
    extent = facts.high - facts.low
    if not math.isfinite(extent):
        extent = abs(scores.baseline_mean(limit.metric) or 1.0) if facts.of_baseline else 1.0
    of_band = max(_BAND_FACTOR * width, _RESOLUTION * extent)
    return of_band if isinstance(limit.equal_within, str) else max(float(limit.equal_within or 0), width)


def _judge_equal(
    found: Estimate, centre: float, margin: float, limit: QualityLimit, band: NullBand | None
) -> Verdict:
    shown = describe(found)
    wanted = f"within {margin:.3g} of {centre:g} required"
    if band is not None and limit.metric in band.metrics:
        wanted += f" (the baseline against itself: {band.width_of(limit.metric):.3g})"
    if found.value is None:
        return Verdict("inconclusive", _UNDECIDED, f"inconclusive: {shown}: {found.reason}; {wanted}")
    word = equivalence(found, centre, margin)
    if word == "equal":
        return Verdict("pass", "passed", f"{shown}, {wanted}")
    if word == "different":
        return Verdict("fail", _MISSED, f"{shown}, {wanted}; accelerate less aggressively")
    return Verdict(
        "inconclusive",
        _UNDECIDED,
        f"inconclusive: {shown}, {wanted}: the interval reaches beyond it; raise --num-samples",
    )


def _judge_distance(limit: QualityLimit, scores: MeasuredPair) -> Verdict:
    """Hold a distance between sets against its limit: there are enough images, and it has no interval."""
    found = scores.distance(limit.metric)
    return gate(
        found,
        Limit(
            bound=limit.most if limit.most is not None else limit.least or 0.0,
            at_most=limit.most is not None,
            missed=_MISSED,
            undecided=_UNDECIDED,
            advice="accelerate less aggressively",
            needs_interval=False,
        ),
    )


def _is_finite(number: int | float) -> bool:
    try:
        return math.isfinite(float(number))
    except OverflowError:
        return False


def _shown(value: object) -> str:
    return "null" if value is None else quoted(value)


def extras_of(limits: Iterable[QualityLimit], more: Iterable[str] = ()) -> list[str]:
    """Return the metrics of other packages that a run or a task asks for, each once.

    Args:
        limits: of the task.
        more: those that the run measures of every pair.
    """
    from bench.metrics.extra_metrics import EXTRAS  # noqa: PLC0415  imports numpy, which collecting does without

    asked = [limit.metric for limit in limits if not limit.lifted]
    return list(dict.fromkeys([*more, *(name for name in asked if name in EXTRAS)]))
