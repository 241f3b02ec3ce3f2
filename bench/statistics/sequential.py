"""When to stop timing: looks at fixed numbers of rounds, with early stopping corrected for.

Equal errors at all looks (Pocock 1977, Biometrika 64:191) are chosen over late ones (O'Brien & Fleming),
because most candidates are far from their requirement: those are decided at the first look.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import msgspec
from numpy.typing import ArrayLike

from bench.core.estimate import Estimate
from bench.statistics.bootstrap import PAIRED_RESAMPLES
from bench.statistics.paired_times import latency_interval, ratio_interval

# Every look is even, so that both orders of the arms (AB and BA) occur equally often at every look.
LOOKS = (6, 10, 14, 20, 28, 40)
# Two-sided error of one look: Pocock's (1977) constant for six looks and 5 % overall. It assumes equally
# spaced looks of normal means. Spacing them geometrically costs a little; the next constant covers that too.
LOOK_ALPHA = 0.0142
# Successive rounds are alike. At a lag-one correlation of 0.3 the standard error is 1.36 times that of
# independent rounds. Six rounds are too few to estimate a correlation, so this one is allowed for.
CORRELATION_ALLOWANCE = math.sqrt((1 + 0.3) / (1 - 0.3))
# The same for two looks.
TWO_LOOKS_ALPHA = 0.0294
# A look at part of the samples that would save less than this part of them is not worth its price.
_WORTH_A_LOOK = 0.25


@dataclass(frozen=True)
class SampleLooks:
    """At which numbers of samples an interval is looked at.

    Attributes:
        counts: ascending; the last is all of them.
        look_alpha: two-sided error of one look alone, so that all together have 5 %.
    """

    counts: tuple[int, ...]
    look_alpha: float


def sample_looks(total: int, *, made: int, step: int, least: int = 0) -> SampleLooks:
    """Return the looks at samples that are made in steps: one at half of them, or at what is there, if that saves enough.

    Args:
        total: samples.
        made: those that are there already. They must not be as many because of what they are worth.
        step: samples of one call.
        least: samples of the first look at least.

    Example:
        >>> sample_looks(64, made=32, step=4)
        SampleLooks(counts=(32, 64), look_alpha=0.0294)
        >>> sample_looks(32, made=32, step=4)
        SampleLooks(counts=(32,), look_alpha=0.05)
    """
    half = max(made, least, -(-total // (2 * step)) * step)
    if total - half < _WORTH_A_LOOK * total:
        return SampleLooks((total,), 0.05)
    return SampleLooks((half, total), TWO_LOOKS_ALPHA)


@dataclass(frozen=True)
class SequentialTest:
    """Intervals that hold at all looks together, so that the first look that decides a pair may end it.

    Each interval goes to `bench.core.gate.gate`; while that is inconclusive, time until the next look. Over
    all looks together, the chance that a candidate exactly at its requirement ever passes is at most `alpha`,
    and so is the chance that it ever fails. In simulation (`benchmarks/sequential_error.py`) each chance is
    about 1 % for independent rounds, heavy tails and stalls included; the interval then covers the truth in
    98 %. For rounds with an autocorrelation of 0.3 each chance is about 3 %, and the interval covers in 94 %.

    Looks must not depend on the times seen. One last look at another number of rounds, because the budget is
    spent, replaces the looks that it prevents and costs nothing.

    Attributes:
        looks: numbers of rounds, ascending.
        alpha: two-sided error over all looks; the estimates' confidence is ``1 - alpha``.
        look_alpha: two-sided error of one look alone.
        widen: factor on both arms of the interval, which allows for correlated rounds.
        resamples: of the bootstrap.
    """

    looks: tuple[int, ...] = LOOKS
    alpha: float = 0.05
    look_alpha: float = LOOK_ALPHA
    widen: float = CORRELATION_ALLOWANCE
    resamples: int = field(default=PAIRED_RESAMPLES, repr=False)

    def interval(self, baseline_s: ArrayLike, candidate_s: ArrayLike, seed: int = 0) -> Estimate:
        """Return the speedup with the interval that holds at all looks; arguments as for `ratio_interval`."""
        at_look = ratio_interval(
            baseline_s,
            candidate_s,
            alpha=self.look_alpha,
            seed=seed,
            resamples=self.resamples,
            widen=self.widen,
        )
        return self._over_all_looks(at_look)

    def latency_interval(self, seconds_per_image: ArrayLike, seed: int = 0) -> Estimate:
        """Return the latency with the interval that holds at all looks; see `latency_interval`."""
        at_look = latency_interval(
            seconds_per_image,
            alpha=self.look_alpha,
            seed=seed,
            resamples=self.resamples,
            widen=self.widen,
        )
        return self._over_all_looks(at_look)

    def next_look(self, rounds_done: int) -> int | None:
        """Return how many rounds there are at the next look, None after the last.

        Example:
            >>> SequentialTest().next_look(0), SequentialTest().next_look(6), SequentialTest().next_look(40)
            (6, 10, None)
        """
        return next((look for look in self.looks if look > rounds_done), None)

    def _over_all_looks(self, at_look: Estimate) -> Estimate:
        return msgspec.structs.replace(at_look, confidence=1 - self.alpha)


def precise_enough(estimate: Estimate, relative_half_width: float) -> bool:
    """Whether a speedup or a latency is known to within a factor of ``1 + relative_half_width`` either way.

    Raises:
        ValueError: a value or an interval that there is not, or a value that is not positive.

    Example:
        >>> speedup = Estimate(metric="speedup", value=2.0, low=1.9, high=2.1)
        >>> precise_enough(speedup, 0.10), precise_enough(speedup, 0.01)
        (True, False)
    """
    value, low, high = estimate.value, estimate.low, estimate.high
    if value is None or low is None or high is None:
        raise ValueError(
            f"found {estimate.metric} without a value or an interval, expected both; measure it first"
        )
    if value <= 0:
        raise ValueError(
            f"found {estimate.metric} = {value:g}, expected a positive value; relative precision is for speedups "
            "and latencies, not for losses"
        )
    if low <= 0 or math.isinf(high):
        return False
    return (math.log(high) - math.log(low)) / 2 <= math.log1p(relative_half_width)
