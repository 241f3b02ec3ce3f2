"""Changes between two runs: of the same samples, or of two estimates, and how many of several are real.

Source of the permutation test: Fisher, The Design of Experiments (1935), with signs flipped at random where there are too
many to try all. Holm's rule: Holm (1979), "A Simple Sequentially Rejective Multiple Test Procedure".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.core.estimate import Estimate
from bench.statistics.bootstrap import mean_intervals

ALL_SIGNS = 12
"""Differences up to which every choice of signs is tried."""
FLIPPED = 200
"""Differences up to which signs are flipped at random; beyond, Student's t test has the same answer."""
FLIPS = 20_000
_SEED = 0


def paired_change(
    before: ArrayLike, after: ArrayLike, *, metric: str, unit: str = ""
) -> tuple[Estimate, float]:
    """Return the mean change of the same samples with its interval, and the probability of a change as large by chance.

    Args:
        before, after: values of the same samples, shape (n,), n at least 2.
        metric, unit: of the estimate.

    Example:
        >>> change, p = paired_change([1, 2, 3, 4, 5, 6], [2, 3, 4, 5, 6, 7.5], metric="score")
        >>> round(change.value, 3), round(p, 5)
        (1.083, 0.03125)
    """
    differences = np.asarray(after, dtype=float) - np.asarray(before, dtype=float)
    if differences.ndim != 1 or len(differences) < 2 or not np.isfinite(differences).all():
        raise ValueError(f"found differences of shape {differences.shape}, expected at least two finite ones")
    low, high = mean_intervals(differences[:, None], _SEED)[0].tolist()
    value = float(differences.mean())
    found = Estimate(
        metric=metric, value=value, low=min(low, value), high=max(high, value), n=len(differences), unit=unit
    )
    return found, sign_flip_p(differences)


def sign_flip_p(differences: NDArray[np.float64]) -> float:
    """Return how probable a mean as far from 0 would be if the sign of each difference were chance.

    Args:
        differences: shape (n,).
    """
    moved = differences[differences != 0]
    n = len(moved)
    if n == 0:
        return 1.0
    observed = abs(float(moved.sum())) * (1 - 1e-12)  # equal sums count, whatever the order of adding
    if n <= ALL_SIGNS:
        signs = np.array(list(product((-1.0, 1.0), repeat=n)))
        return float((np.abs(signs @ moved) >= observed).mean())
    if n <= FLIPPED:
        rng = np.random.default_rng(_SEED)
        flips = rng.integers(0, 2, size=(FLIPS, n), dtype=np.int8) * 2.0 - 1.0
        return float((1 + (np.abs(flips @ moved) >= observed).sum()) / (1 + FLIPS))
    from scipy.special import stdtr  # noqa: PLC0415  few comparisons are so large

    count = len(differences)
    spread = float(differences.std(ddof=1)) / math.sqrt(count)
    return 0.0 if spread == 0 else float(2 * stdtr(count - 1, -abs(float(differences.mean())) / spread))


def independent_change(before: Estimate, after: Estimate) -> tuple[Estimate, float | None]:
    """Return the change between two estimates of different samples, and its two-sided p; None where an interval is missing.

    A ratio (unit ``x``) changes by a factor, anything else by a difference. The intervals are taken for normal ones.

    Example:
        >>> a = Estimate(metric="speedup", value=2.0, low=1.8, high=2.2, unit="x")
        >>> b = Estimate(metric="speedup", value=1.0, low=0.9, high=1.1, unit="x")
        >>> change, p = independent_change(a, b)
        >>> round(change.value, 2), p < 0.001
        (0.5, True)
    """
    if before.value is None or after.value is None:
        raise ValueError("found an estimate without a value, expected two values")
    is_ratio = after.unit == "x" and before.value > 0 and after.value > 0
    metric = after.metric
    value = math.log(after.value / before.value) if is_ratio else after.value - before.value
    errors = [_standard_error(estimate, logarithmic=is_ratio) for estimate in (before, after)]

    def shown(number: float) -> float:
        return math.exp(number) if is_ratio else number

    found = Estimate(metric=metric, value=shown(value), unit=after.unit)
    if errors[0] is None or errors[1] is None:
        return found, None
    spread = math.hypot(errors[0], errors[1])
    z = NormalDist().inv_cdf(0.975)
    found = Estimate(
        metric=metric,
        value=shown(value),
        low=shown(value - z * spread),
        high=shown(value + z * spread),
        unit=after.unit,
    )
    if spread == 0:
        return found, 1.0 if value == 0 else 0.0
    return found, 2 * NormalDist().cdf(-abs(value) / spread)


def _standard_error(estimate: Estimate, *, logarithmic: bool) -> float | None:
    """Return the standard error that an interval stands for, None without one."""
    low, high = estimate.low, estimate.high
    if low is None or high is None or (logarithmic and low <= 0):
        return None
    width = math.log(high / low) if logarithmic else high - low
    return width / (2 * NormalDist().inv_cdf((1 + estimate.confidence) / 2))


def holm(probabilities: Sequence[float]) -> list[float]:
    """Return p-values so adjusted that taking those below a level for real is wrong in any of them at that level at most.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    count, adjusted, highest = len(probabilities), [0.0] * len(probabilities), 0.0
    for rank, place in enumerate(sorted(range(count), key=lambda index: probabilities[index])):
        highest = max(highest, min(1.0, (count - rank) * probabilities[place]))
        adjusted[place] = highest
    return adjusted
