"""The one comparison of an estimate with a limit: by the interval, never by the bare value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from bench.core.estimate import Estimate
from bench.core.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What an estimate is held against.

    Attributes:
        bound: in the unit of the estimate.
        at_most: whether less is better.
        strict: whether the bound itself is not good enough. Quality losses and gains are strict, speedups, latencies
            and scores are not.
        missed: reason code of an estimate that is on the wrong side with its whole interval.
        undecided: reason code of an interval that contains the bound, or of an estimate without one.
        advice: what to do where it is missed.
        more: what to do where it is undecided.
        needs_interval: whether a value without an interval is undecided. Values that somebody else computed come
            without one and are compared as they are; the reason says so.
    """

    bound: float
    at_most: bool = False
    strict: bool = False
    missed: str = "requirement_missed"
    undecided: str = "requirement_undecided"
    advice: str = "see what was measured"
    more: str = "evaluate more samples"
    needs_interval: bool = True

    def __post_init__(self) -> None:
        """Refuse a bound that decides nothing."""
        if not math.isfinite(self.bound):
            raise ValueError(f"found a limit of {self.bound}, expected a finite number")


def gate(
    estimate: Estimate, limit: Limit | None, *, shown: str | None = None, required: str | None = None
) -> Verdict:
    """Compare an estimate with a limit.

    The verdict is a pass when the whole interval is on the right side of the bound, a fail when the whole interval is
    on the wrong side, and inconclusive in between.

    Args:
        estimate: what was measured.
        limit: None is not gated: a value passes, whatever it is; a missing one is still inconclusive.
        shown: what the reason says of the estimate; left out, metric, value, interval and number of samples.
        required: what it says of the limit; left out, ``at least 60 required``.

    Example:
        >>> faster = Estimate(metric="speedup", value=2.1, low=2.0, high=2.2, unit="x")
        >>> gate(faster, Limit(bound=2.0)).verdict
        'pass'
        >>> gate(faster, Limit(bound=2.1)).verdict
        'inconclusive'
    """
    shown = describe(estimate) if shown is None else shown
    value, low, high = estimate.value, estimate.low, estimate.high
    if value is None:
        why = estimate.reason or "it was not measured"
        code, more = (limit.undecided, limit.more) if limit else ("score_undecided", Limit(bound=0).more)
        return Verdict("inconclusive", code, f"{shown}: {why}; {more}")
    if limit is None:
        return Verdict("pass", "passed", shown)
    if required is None:
        required = f"at {'most' if limit.at_most else 'least'} {limit.bound:g} required"
    if low is None or high is None:
        if limit.needs_interval:
            why = estimate.reason or "one sample says nothing of the scatter"
            return Verdict(
                "inconclusive",
                limit.undecided,
                f"{shown}, {required}: there is no interval ({why}); {limit.more}",
            )
        low = high = value
        shown += ", no interval known"
    word = side(low, high, limit.bound, at_most=limit.at_most, strict=limit.strict)
    if word == "pass":
        return Verdict(word, "passed", f"{shown}, {required}")
    if word == "fail":
        return Verdict(word, limit.missed, f"{shown}, {required}; {limit.advice}")
    return Verdict(
        word, limit.undecided, f"{shown}, {required}: the interval contains the limit; {limit.more}"
    )


def side(
    low: float, high: float, bound: float, *, at_most: bool = False, strict: bool = False
) -> Literal["pass", "fail", "inconclusive"]:
    """Return on which side of a bound an interval lies: the rule of every gate, and of all that shows one.

    Args:
        low, high: the interval.
        bound: in its unit.
        at_most: whether less is better.
        strict: whether the bound itself is not good enough.

    Example:
        >>> side(2.0, 2.2, 2.0), side(2.0, 2.2, 2.0, strict=True), side(0.1, 0.2, 0.05, at_most=True)
        ('pass', 'inconclusive', 'fail')
    """
    worse, better, limit = (-high, -low, -bound) if at_most else (low, high, bound)
    if worse > limit or (worse == limit and not strict):
        return "pass"
    return "fail" if better < limit else "inconclusive"


def describe(estimate: Estimate) -> str:
    """Return metric, value, interval and number of samples, such as ``mrr@10 0.74 [0.66, 0.82] of 64``."""
    if estimate.value is None:
        return f"{estimate.metric} has no value"
    interval = f" [{estimate.low:.4g}, {estimate.high:.4g}]" if estimate.has_interval else ""
    samples = f" of {estimate.n}" if estimate.n else ""
    unit = f" {estimate.unit}" if estimate.unit and estimate.unit != "x" else estimate.unit
    return f"{estimate.metric} {estimate.value:.4g}{unit}{interval}{samples}"
