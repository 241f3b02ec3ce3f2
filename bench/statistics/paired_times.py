"""How large a speedup, a latency or a quality loss is, each with its interval.

Times are compared as logarithms, since noise on a machine multiplies:
``r_i = log(baseline_s[i] / candidate_s[i])`` is what round i gives.

The location of the r_i is Tukey's biweight M-estimate. It is nearly as good as the mean
on clean rounds and gives no weight to a stalled one (1.5 to 3 times too slow, rare, often in one arm only);
such rounds pull the mean and the Hodges-Lehmann estimate towards them.

The interval is a paired bootstrap: rounds are resampled, never the arms separately. Its arms are stretched
for few rounds (`bench.statistics.bootstrap.stretched_interval`). Student's t has n - 1 degrees of freedom for
a ratio of sums, and n - 2 for a location, since which rounds count as stalls is estimated from the same few
rounds; with n - 1 a "95 %" interval of six rounds covers the truth in 93 to 94 %.

An interval covers the scatter from round to round. A handicap that lasts for the whole pair, such as a slow
core, is in every round and in no interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from bench.core.estimate import Estimate
from bench.statistics.bootstrap import PAIRED_RESAMPLES, Floats, resampled_indices, stretched_interval

MIN_ROUNDS = 4

# 4.685 gives the biweight 95 % efficiency on normal data (Holland & Welsch 1977).
BIWEIGHT_CUTOFF = 4.685
BIWEIGHT_STEPS = 5
_SETTLED = 1e-9  # of the cutoff: a location that moves by less has settled


def ratio_interval(
    baseline_s: ArrayLike,
    candidate_s: ArrayLike,
    *,
    alpha: float = 0.05,
    seed: int = 0,
    resamples: int = PAIRED_RESAMPLES,
    widen: float = 1.0,
) -> Estimate:
    """Return how many times faster the candidate is, with a two-sided interval at level 1 - `alpha`.

    The level holds for one look at a number of independent rounds fixed in advance; `SequentialTest` is for
    everything else. Swapping the arms inverts the interval. The order of the rounds does not matter.

    Args:
        baseline_s, candidate_s: seconds, shape (rounds,); entry i of both is the same prompts and seeds.
        alpha: two-sided error.
        seed: the same times and seed give the same interval.
        resamples: of the bootstrap.
        widen: factor on both arms of the interval, on top of the correction for few rounds.

    Raises:
        ValueError: fewer than `MIN_ROUNDS` rounds, unequal lengths, or a time that is not finite and
            positive.

    Example:
        >>> ratio_interval([2.0, 4.0, 2.2, 2.0], [1.0, 2.0, 1.1, 1.0]).text()
        '2.000 [2.000, 2.000]'
    """
    logs = log_ratios(baseline_s, candidate_s)
    value, low, high = _exp_of_location(logs, alpha, seed, resamples, widen)
    return Estimate(
        metric="speedup", value=value, low=low, high=high, n=len(logs), unit="x", confidence=1 - alpha
    )


def log_ratios(baseline_s: ArrayLike, candidate_s: ArrayLike) -> Floats:
    """Return ``log(baseline_s / candidate_s)`` of each round, shape (rounds,); errors as for `ratio_interval`."""
    baseline, candidate = _times(baseline_s, "baseline_s"), _times(candidate_s, "candidate_s")
    if len(baseline) != len(candidate):
        raise ValueError(
            f"found {len(baseline)} baseline rounds and {len(candidate)} candidate rounds, expected equal numbers; "
            "drop rounds that only one arm finished"
        )
    return np.log(baseline) - np.log(candidate)


def log_times(seconds: ArrayLike) -> Floats:
    """Return the logarithm of each time, shape (rounds,); errors as for `latency_interval`."""
    return np.log(_times(seconds, "seconds"))


def location_of_logs(logs: Floats, cutoff: float | None = None) -> tuple[float, float]:
    """Return the biweight location of rounds, shape (rounds,), and its standard error for independent ones.

    Args:
        logs: the rounds.
        cutoff: distance from the centre at which a round loses all weight, where more is known than these rounds say.

    The standard error is that of an M-estimate (Huber 1981, "Robust Statistics"), with n - 1 for few rounds. It needs no
    resampling.

    Example:
        >>> location_of_logs(np.array([0.1, 0.1, 0.1, 0.1]))
        (0.1, 0.0)
    """
    ordered, n = np.sort(logs), len(logs)
    cutoff = _cutoff(ordered) if cutoff is None else cutoff
    centre = _median(ordered)
    if cutoff == 0:
        return centre, 0.0
    # The steps of `_location` for a single row, of which a simulation takes millions.
    for _ in range(5 * BIWEIGHT_STEPS):
        weights = np.maximum(1 - ((ordered - centre) / cutoff) ** 2, 0) ** 2
        total = float(weights.sum())
        if total <= 0:
            break
        before, centre = centre, float(weights @ ordered) / total
        if abs(centre - before) <= _SETTLED * cutoff:
            break
    u = (ordered - centre) / cutoff
    inside = np.abs(u) < 1
    psi = np.where(inside, u * (1 - u**2) ** 2, 0.0)
    slope = float(np.where(inside, (1 - u**2) * (1 - 5 * u**2), 0.0).sum())
    if slope <= 0:  # a scatter so odd that the formula has no value: that of the mean
        return centre, float(ordered.std(ddof=1)) / math.sqrt(n)
    return centre, cutoff * math.sqrt(float((psi**2).sum())) / slope * math.sqrt(n / (n - 1))


def latency_interval(
    seconds_per_image: ArrayLike,
    *,
    alpha: float = 0.05,
    seed: int = 0,
    resamples: int = PAIRED_RESAMPLES,
    widen: float = 1.0,
) -> Estimate:
    """Return the typical seconds per image of one arm, with a two-sided interval at level 1 - `alpha`.

    As `ratio_interval`, for the logarithm of one arm's times, shape (rounds,). Nothing cancels here: a
    machine that slows down for all rounds shifts the latency and leaves the speedup unchanged.
    """
    times = _times(seconds_per_image, "seconds_per_image")
    value, low, high = _exp_of_location(np.log(times), alpha, seed, resamples, widen)
    return Estimate(
        metric="latency_s",
        value=value,
        low=low,
        high=high,
        n=len(times),
        unit="s",
        higher_is_better=False,
        confidence=1 - alpha,
    )


def quality_loss_interval(
    baseline_scores: ArrayLike,
    candidate_scores: ArrayLike,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    resamples: int = PAIRED_RESAMPLES,
) -> Estimate:
    """Return the quality loss with a two-sided paired bootstrap interval.

    The loss is ``sum(S_base - S_cand) / sum(S_base)``. A fraction: 0.05 is 5 % lost, and a negative loss is a
    gain. Samples are resampled, not the arms separately, so that a hard prompt counts in both arms or in
    neither. The level holds for one look, when all samples are there.

    Args:
        baseline_scores, candidate_scores: shape (samples,), in any unit where more is better; single scores
            may be negative. Entry i of both is the same prompt and seed.
        confidence: two-sided level, as a fraction.
        seed: the same scores and seed give the same interval.
        resamples: of the bootstrap.

    Raises:
        ValueError: fewer than two samples, unequal lengths, a score that is not finite, or baseline scores
            whose sum is not clearly above zero, of which nothing can be lost.

    Example:
        >>> quality_loss_interval([30.0, 20.0], [27.0, 18.0]).text()
        '0.100 [0.100, 0.100]'
    """
    baseline = _finite(baseline_scores, "baseline_scores")
    candidate = _finite(candidate_scores, "candidate_scores")
    if len(baseline) != len(candidate) or len(baseline) < 2:
        raise ValueError(
            f"found {len(baseline)} baseline scores and {len(candidate)} candidate scores, expected equal numbers, "
            "at least two; score the same prompts and seeds in both arms"
        )
    total = float(baseline.sum())
    if total <= 0:
        raise ValueError(
            f"found baseline scores that sum to {total:g}, expected more than zero; a relative loss has no meaning "
            "here, look at the baseline's images"
        )
    lost, n = baseline - candidate, len(baseline)
    loss = float(lost.sum()) / total
    low = high = 0.0
    if lost.any():
        with np.errstate(divide="ignore", invalid="ignore"):
            draws = np.concatenate(
                [
                    _ratio_or_infinite(lost[index].sum(axis=1), baseline[index].sum(axis=1))
                    for index in resampled_indices(n, resamples, seed, mirrored=True)
                ]
            )
            low, high = stretched_interval(loss, draws, n=n, freedom=n - 1, alpha=1 - confidence)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(
            f"found baseline scores too close to zero for their scatter (sum {total:g} of {n}), expected a sum "
            "clearly above zero; a relative loss has no bounds here, use more samples"
        )
    return Estimate(
        metric="quality_loss",
        value=loss,
        low=low,
        high=high,
        n=n,
        higher_is_better=False,
        confidence=confidence,
    )


def _exp_of_location(
    logs: Floats, alpha: float, seed: int, resamples: int, widen: float
) -> tuple[float, float, float]:
    """Return exp(location of `logs`) and the ends of its interval; `logs` has shape (rounds,)."""
    if not 0 < alpha < 1:
        raise ValueError(f"found alpha {alpha:g}, expected a chance between 0 and 1, such as 0.05")
    logs, n = np.sort(logs), len(logs)
    cutoff = _cutoff(logs)
    centre = float(_location(logs[None], float(np.median(logs)), cutoff, steps=5 * BIWEIGHT_STEPS)[0])
    # Mirrored, so that swapping the arms inverts an interval exactly.
    draws = np.concatenate(
        [
            _location(logs[index], centre, cutoff)
            for index in resampled_indices(n, resamples, seed, mirrored=True)
        ]
    )
    low, high = stretched_interval(centre, draws, n=n, freedom=n - 2, alpha=alpha, widen=widen)
    with np.errstate(over="ignore"):  # clocks that are off by hundreds of orders of magnitude: no bound
        value, low, high = np.exp([centre, low, high]).tolist()
    return value, low, high


def pooled_cutoff(levels: Sequence[Floats]) -> float:
    """Return the cutoff of rounds, each of shape (rounds,), that scatter alike around centres of their own.

    Of few rounds that have a stall among them, the scatter is badly known; of all together it is known well. For one level
    it is that level's own.
    """
    rounds = sum(map(len, levels))
    # A level takes a part of its scatter for its centre.
    return _cutoff(np.concatenate([level - np.median(level) for level in levels])) * math.sqrt(
        rounds / (rounds - len(levels) + 1)
    )


def _cutoff(values: Floats) -> float:
    """Return the distance from the centre at which a value loses all weight; 0 if all values are equal.

    A few rounds estimate their scatter badly, and too small a cutoff throws out good rounds: it is 1 + 5 / n
    times the usual one, found by simulation. The mean absolute deviation keeps it from collapsing where
    values tie; a single outlier cannot raise that floor so far that it gets weight.
    """
    n = len(values)
    deviations = np.abs(values - _median(np.sort(values)))
    sd = max(1.4826 * _median(np.sort(deviations)), 0.25 * 1.2533 * deviations.mean())
    return float(BIWEIGHT_CUTOFF * (1 + 5 / n) * sd)


def _median(ordered: Floats) -> float:
    """Return the median of sorted values; numpy's own takes ten times as long for a few of them."""
    return float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _location(rows: Floats, start: float, cutoff: float, steps: int = BIWEIGHT_STEPS) -> Floats:
    """Return the biweight location of each row, shape (rows, n) -> (rows,), by reweighting from `start` on.

    Every resample starts from the centre of the measured rounds and has their cutoff. From its own median and
    scatter, a resample in which one stall was drawn three times would take the stall for the centre, and a
    single stalled round in six would leave a clear case undecided (Salibian-Barrera & Zamar 2002).
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


def _ratio_or_infinite(numerator: Floats, denominator: Floats) -> Floats:
    """Return the ratio, infinite with the numerator's sign where the denominator is not positive."""
    return np.where(denominator > 0, numerator / denominator, np.copysign(np.inf, numerator))


def _finite(values: ArrayLike, name: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(
            f"found {name} of shape {array.shape}, expected one number per round or sample; flatten it"
        )
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
