"""How large a speedup, a latency or a quality loss is, how sure that is, and when to stop measuring.

Times are compared as logarithms, since noise on a machine multiplies: round i gives
``r_i = log(baseline_s[i] / candidate_s[i])``. The location of the r_i is Tukey's biweight M-estimate. It is
nearly as good as the mean on clean rounds and gives no weight to a stalled one (1.5 to 3 times too slow, now
and then, often in one arm only); the mean and the Hodges-Lehmann estimate are drawn towards such rounds.

The interval is a paired bootstrap: rounds are resampled, never arms by themselves. Percentile intervals are
too short for small n (Hesterberg 2015, "What Teachers Should Know About the Bootstrap", The American
Statistician 69:371), so both of its arms are stretched by ``t / z * sqrt(n / (n - 1))``. Student's t has n - 1
degrees of freedom for a ratio of sums, and n - 2 for a location, since which rounds count as stalls is
estimated from the same few rounds; with n - 1 a "95 %" interval of six rounds covers in 93 to 94 %.

What an interval covers is the scatter from round to round. A handicap that lasts for the whole pair, such as
a slow core, is in every round of it and in no interval.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Decision = Literal["pass", "fail", "continue"]
Floats = NDArray[np.float64]

MIN_ROUNDS = 4
RESAMPLES = 10_000  # 1000 would let the seed move the ends enough to cost a point of coverage

# Both orders of the arms (AB and BA) occur equally often at every look, since every look is even.
LOOKS = (6, 10, 14, 20, 28, 40)
# Two-sided error of one look: Pocock's (1977) constant for six looks and 5 % overall. It assumes equally spaced
# looks of normal means; spacing them geometrically costs a little, which the next constant pays too.
LOOK_ALPHA = 0.0142
# Rounds that follow each other are alike. At a lag-one correlation of 0.3 the standard error is 1.36 times
# that of independent rounds. Six rounds are too few to estimate a correlation, so this one is allowed for.
CORRELATION_ALLOWANCE = math.sqrt((1 + 0.3) / (1 - 0.3))

# 4.685 gives the biweight 95 % efficiency on normal data (Holland & Welsch 1977).
BIWEIGHT_CUTOFF = 4.685
BIWEIGHT_STEPS = 5
_BLOCK_ELEMENTS = 100_000  # resampled values held at once: they stay in the processor's cache


@dataclass(frozen=True)
class Interval:
    """An estimate and its two-sided interval, in the unit of `value`; `confidence` as a fraction."""

    value: float
    low: float
    high: float
    confidence: float


def ratio_interval(
    baseline_s: ArrayLike,
    candidate_s: ArrayLike,
    *,
    alpha: float = 0.05,
    seed: int = 0,
    resamples: int = RESAMPLES,
    widen: float = 1.0,
) -> Interval:
    """How many times faster the candidate is, with a two-sided interval at level 1 - `alpha`.

    The level holds for one look at a number of independent rounds fixed in advance, from `MIN_ROUNDS` up;
    `SequentialTest` is for everything else. Swapping the arms inverts the interval; the order of the rounds does not matter.

    Parameters
    ----------
    baseline_s, candidate_s: seconds, shape (rounds,); entry i of both is the same prompts and seeds.
    widen: factor on both arms of the interval, on top of the small-sample correction.

    Raises
    ------
    ValueError: fewer than `MIN_ROUNDS` rounds, unequal lengths, or a time that is not finite and positive.
    """
    baseline, candidate = _times(baseline_s, "baseline_s"), _times(candidate_s, "candidate_s")
    if len(baseline) != len(candidate):
        raise ValueError(
            f"found {len(baseline)} baseline rounds and {len(candidate)} candidate rounds, expected as many of "
            "one as of the other; drop rounds that only one arm finished"
        )
    return _log_interval(np.log(baseline) - np.log(candidate), alpha, seed, resamples, widen)


def latency_interval(
    seconds_per_image: ArrayLike,
    *,
    alpha: float = 0.05,
    seed: int = 0,
    resamples: int = RESAMPLES,
    widen: float = 1.0,
) -> Interval:
    """Typical seconds per image of one arm, with a two-sided interval at level 1 - `alpha`.

    As `ratio_interval`, for the logarithm of one arm's times, shape (rounds,). Nothing cancels here: a
    machine that slows down for all rounds shifts the latency, where it leaves the speedup alone.
    """
    return _log_interval(
        np.log(_times(seconds_per_image, "seconds_per_image")), alpha, seed, resamples, widen
    )


@dataclass(frozen=True)
class SequentialTest:
    """Decides as early as the rounds allow, and pays for looking more than once.

    `look_alpha` is the two-sided error of one look by itself. `alpha` is what the caller is promised and what
    `Interval.confidence` reports: over all `looks` together, the chance that a candidate exactly at its
    requirement ever passes is at most `alpha`, and so is the chance that it ever fails. `widen` pays for
    correlated rounds. In simulation (`benchmarks/sequential_error.py`) each chance is about 1 % for independent
    rounds, heavy tails and stalls included, so that the interval covers in 98 %, and about 3 % for
    rounds with an autocorrelation of 0.3, where it covers in 94 %.

    Equal errors at all looks (Pocock 1977, Biometrika 64:191) are chosen over late ones (O'Brien & Fleming)
    because most candidates are far from their requirement: those are decided at the first look.

    Looks must not depend on the times seen. One last look at another number of rounds, because the budget is
    spent, takes the place of the looks that it prevents and costs nothing.
    """

    looks: tuple[int, ...] = LOOKS
    alpha: float = 0.05
    look_alpha: float = LOOK_ALPHA
    widen: float = CORRELATION_ALLOWANCE
    resamples: int = field(default=RESAMPLES, repr=False)

    def interval(self, baseline_s: ArrayLike, candidate_s: ArrayLike, seed: int = 0) -> Interval:
        """The speedup with the interval that decides: it holds at all looks at once. See `ratio_interval`."""
        at_look = ratio_interval(
            baseline_s,
            candidate_s,
            alpha=self.look_alpha,
            seed=seed,
            resamples=self.resamples,
            widen=self.widen,
        )
        return Interval(at_look.value, at_look.low, at_look.high, 1 - self.alpha)

    def latency_interval(self, seconds_per_image: ArrayLike, seed: int = 0) -> Interval:
        """The latency with the interval that decides: it holds at all looks. See `latency_interval`."""
        at_look = latency_interval(
            seconds_per_image,
            alpha=self.look_alpha,
            seed=seed,
            resamples=self.resamples,
            widen=self.widen,
        )
        return Interval(at_look.value, at_look.low, at_look.high, 1 - self.alpha)

    def decide(self, interval: Interval, required: float) -> Decision:
        """Whether a speedup reaches `required`: pass if all of its interval does, fail if none of it does."""
        _check_limit(required, "required speedup")
        if interval.low >= required:
            return "pass"
        return "fail" if interval.high < required else "continue"

    def decide_latency(self, interval: Interval, max_latency_s: float) -> Decision:
        """Whether a latency stays at or under `max_latency_s`: pass if all of its interval does."""
        _check_limit(max_latency_s, "latency limit in seconds")
        if interval.high <= max_latency_s:
            return "pass"
        return "fail" if interval.low > max_latency_s else "continue"

    def next_look(self, rounds_done: int) -> int | None:
        """How many rounds there are at the next look, None after the last."""
        return next((look for look in self.looks if look > rounds_done), None)


def precise_enough(interval: Interval, relative_half_width: float) -> bool:
    """Whether a ratio or a latency is known to within a factor of 1 + `relative_half_width` either way."""
    if interval.value <= 0:
        raise ValueError(
            f"found an interval around {interval.value:g}, expected a positive value; relative precision is "
            "for speedups and latencies, not for losses"
        )
    if interval.low <= 0 or math.isinf(interval.high):
        return False
    return (math.log(interval.high) - math.log(interval.low)) / 2 <= math.log1p(relative_half_width)


def quality_loss_interval(
    baseline_scores: ArrayLike,
    candidate_scores: ArrayLike,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """Quality loss L = sum(S_base - S_cand) / sum(S_base), with a two-sided paired bootstrap interval.

    A fraction: 0.05 is 5 % lost, a negative loss is a gain. Samples, not arms, are resampled, so that a hard
    prompt counts in both arms or in neither. Looked at once, when all samples are there.

    Parameters
    ----------
    baseline_scores, candidate_scores: shape (samples,), any unit where more is better; single scores may be
        negative. Entry i of both is the same prompt and seed.

    Raises
    ------
    ValueError: fewer than two samples, unequal lengths, a score that is not finite, or baseline scores that
        are not clearly above zero in sum, of which nothing can be lost.
    """
    baseline, candidate = (
        _finite(baseline_scores, "baseline_scores"),
        _finite(candidate_scores, "candidate_scores"),
    )
    if len(baseline) != len(candidate) or len(baseline) < 2:
        raise ValueError(
            f"found {len(baseline)} baseline scores and {len(candidate)} candidate scores, expected at least "
            "two and as many of one as of the other; score the same prompts and seeds in both arms"
        )
    total = float(baseline.sum())
    if total <= 0:
        raise ValueError(
            f"found baseline scores that sum to {total:g}, expected more than zero; a relative loss has no "
            "meaning here, look at the baseline's images"
        )
    lost = baseline - candidate
    if not lost.any():
        return Interval(0.0, 0.0, 0.0, confidence)
    loss = float(lost.sum()) / total
    with np.errstate(divide="ignore", invalid="ignore"):
        draws = np.concatenate(
            [
                _ratio_or_infinite(lost[index].sum(axis=1), baseline[index].sum(axis=1))
                for index in _resampled(len(lost), resamples, seed)
            ]
        )
        low, high = _stretched(loss, draws, len(lost), len(lost) - 1, 1 - confidence)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(
            f"found baseline scores too close to zero for their scatter (sum {total:g} of {len(lost)}), "
            "expected a sum clearly above zero; a relative loss has no bounds here, use more samples"
        )
    return Interval(loss, low, high, confidence)


def _log_interval(logs: Floats, alpha: float, seed: int, resamples: int, widen: float) -> Interval:
    """Interval of exp(location of `logs`), shape (rounds,)."""
    if not 0 < alpha < 1:
        raise ValueError(f"found alpha {alpha:g}, expected a chance between 0 and 1")
    logs = np.sort(logs)
    cutoff = _cutoff(logs)
    centre = float(_location(logs[None], float(np.median(logs)), cutoff, steps=5 * BIWEIGHT_STEPS)[0])
    draws = np.concatenate(
        [_location(logs[index], centre, cutoff) for index in _resampled(len(logs), resamples, seed)]
    )
    low, high = _stretched(centre, draws, len(logs), len(logs) - 2, alpha, widen)
    with np.errstate(over="ignore"):  # clocks that are off by hundreds of orders of magnitude: no bound
        value, low, high = np.exp([centre, low, high]).tolist()
    return Interval(value, low, high, 1 - alpha)


def _cutoff(values: Floats) -> float:
    """How far from the centre a value has no weight any more; 0 if all values are equal.

    A few rounds estimate their scatter badly, and too small a cutoff throws out good rounds: it is 1 + 5 / n
    times the usual one, found by simulation. The mean absolute deviation keeps it from collapsing where values tie; a
    single outlier cannot lift that floor so far that it is let in again.
    """
    n = len(values)
    deviations = np.abs(values - np.median(values))
    sd = max(1.4826 * np.median(deviations), 0.25 * 1.2533 * deviations.mean())
    return float(BIWEIGHT_CUTOFF * (1 + 5 / n) * sd)


def _location(rows: Floats, start: float, cutoff: float, steps: int = BIWEIGHT_STEPS) -> Floats:
    """Biweight location of each row, shape (rows, n) -> (rows,), by reweighting from `start` on.

    Every resample starts from the centre of the rounds measured and has their cutoff. From its own median
    and scatter, a resample in which one stall was drawn three times would take the stall for the centre, and
    a single stalled round in six would leave a clear case undecided (Salibian-Barrera & Zamar 2002).
    """
    centre = np.full(len(rows), start)
    if cutoff == 0:
        return centre
    for _ in range(steps):
        weights = np.maximum(1 - ((rows - centre[:, None]) / cutoff) ** 2, 0) ** 2
        total = weights.sum(axis=1)
        # A row of stalls only, drawn once in thousands, has no value near the centre: it stays where it is.
        moved = np.einsum("ij,ij->i", weights, rows) / np.where(total > 0, total, 1)
        centre = np.where(total > 0, moved, centre)
    return centre


def _resampled(n: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Blocks of indices, shape (block, n), each followed by its mirror image.

    The mirror makes the resamples of sorted values and of their sorted negatives the same up to the sign, so
    that swapping the arms inverts an interval exactly.
    """
    rng = np.random.default_rng(seed)
    left = max(resamples // 2, 1)
    while left:
        block = min(left, max(_BLOCK_ELEMENTS // n, 1))
        index = rng.integers(0, n, size=(block, n))
        yield index
        yield n - 1 - index
        left -= block


def _stretched(
    centre: float, draws: Floats, n: int, freedom: int, alpha: float, widen: float = 1.0
) -> tuple[float, float]:
    """Percentile interval whose arms are lengthened for `n` values instead of infinitely many."""
    from scipy.special import stdtrit  # noqa: PLC0415  a worker that measures nothing need not load scipy

    low, high = np.quantile(draws, (alpha / 2, 1 - alpha / 2))
    tail = 1 - alpha / 2
    stretch = widen * float(stdtrit(freedom, tail)) / NormalDist().inv_cdf(tail) * math.sqrt(n / (n - 1))
    return centre - stretch * (centre - float(low)), centre + stretch * (float(high) - centre)


def expanded_tail(n: int, tail: float) -> float:
    """Return the quantile level at which a bootstrap of `n` samples leaves out `tail` on one side.

    Percentiles by themselves are too short for few samples; further out they are right (Hesterberg 2015). Unlike
    stretched ends, quantiles stay within what a metric can be.
    """
    from scipy.special import stdtrit  # noqa: PLC0415  who asks for no interval need not load scipy

    return NormalDist().cdf(-float(stdtrit(n - 1, 1 - tail)) * math.sqrt(n / (n - 1)))


def _ratio_or_infinite(numerator: Floats, denominator: Floats) -> Floats:
    """Numerator / denominator, infinite with the numerator's sign where the denominator is not positive."""
    return np.where(denominator > 0, numerator / denominator, np.copysign(np.inf, numerator))


def _finite(values: ArrayLike, name: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"found {name} of shape {array.shape}, expected one number per round or sample")
    for i in np.flatnonzero(~np.isfinite(array))[:1]:
        raise ValueError(f"found {name}[{i}] = {array[i]:g}, expected a finite number; see what produced it")
    return array


def _times(values: ArrayLike, name: str) -> Floats:
    array = _finite(values, name)
    for i in np.flatnonzero(array <= 0)[:1]:
        raise ValueError(f"found {name}[{i}] = {array[i]:g} s, expected more than zero; check the clock")
    if len(array) < MIN_ROUNDS:
        raise ValueError(f"found {len(array)} rounds of {name}, expected at least {MIN_ROUNDS}; measure more")
    return array


def _check_limit(limit: float, name: str) -> None:
    if not 0 < limit < math.inf:
        raise ValueError(f"found a {name} of {limit:g}, expected a finite number above zero")
