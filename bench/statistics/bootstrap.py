"""Bootstrap intervals: resamples from a seed, and the interval that follows from the values of the resamples.

Percentile intervals are too short for few samples (Hesterberg 2015, "What Teachers Should Know About the
Bootstrap", The American Statistician 69:371). There are two corrections. `interval_ends` takes quantiles
further out, so its ends stay within what a metric can be. `stretched_interval` lengthens both arms of the
percentile interval, for unbounded values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# With these, another seed moves the ends of an interval by about a hundredth of its length.
RESAMPLES = 5_000
# Timed rounds are few: with 1000 the seed would move the ends enough to cost a point of coverage.
PAIRED_RESAMPLES = 10_000
_BLOCK_ELEMENTS = 200_000  # held at a time: they stay in the processor's cache


def resampled_indices(
    n: int, resamples: int, seed: int, *, width: int = 1, mirrored: bool = False
) -> Iterator[Integers]:
    """Yield which samples were drawn, in blocks of shape (resamples of a block, n).

    Args:
        n: samples.
        resamples: how many are drawn in all.
        seed: the same n and seed give the same draws; the size of the blocks does not matter.
        width: numbers that belong to a sample; more of them make smaller blocks.
        mirrored: half the resamples are drawn, and each block is followed by its mirror image, in which index
            i is ``n - 1 - i``. So the resamples of sorted values and of their sorted negatives are equal but
            for the sign.

    Example:
        >>> [block.shape for block in resampled_indices(3, 10, seed=0)]
        [(10, 3)]
        >>> drawn, mirror = resampled_indices(3, 10, seed=0, mirrored=True)
        >>> bool((drawn + mirror == 2).all())
        True
    """
    rng = np.random.default_rng(seed)
    left = max(resamples // 2, 1) if mirrored else resamples
    largest = max(_BLOCK_ELEMENTS // (n * width * (1 + mirrored)), 1)
    while left > 0:
        index = rng.integers(0, n, size=(min(left, largest), n))
        yield index
        if mirrored:
            yield n - 1 - index
        left -= len(index)


def resampled_weights(n: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield how often each sample was drawn, in blocks of shape (resamples of a block, n).

    Example:
        >>> [weights.sum(axis=1).tolist() for weights in resampled_weights(3, 4, seed=0)]
        [[3.0, 3.0, 3.0, 3.0]]
    """
    for index in resampled_indices(n, resamples, seed):
        rows = len(index)
        cells = index + np.arange(rows)[:, None] * n
        yield np.bincount(cells.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def expanded_tail(n: int, tail: float) -> float:
    """Return the quantile level at which a bootstrap of `n` samples leaves out `tail` on one side.

    Source: Hesterberg 2015.

    Example:
        >>> f"{expanded_tail(10, 0.025):.4f}, {expanded_tail(10_000, 0.025):.4f}"
        '0.0086, 0.0250'
    """
    from scipy.special import stdtrit  # noqa: PLC0415  a process that needs no interval need not load scipy

    return NormalDist().cdf(-float(stdtrit(n - 1, 1 - tail)) * math.sqrt(n / (n - 1)))


def interval_ends(draws: Floats, n: int, tail: float, *, interpolated: bool = False) -> tuple[float, float]:
    """Return the quantiles of the draws that leave out `tail` on either side, further out for few samples.

    Args:
        draws: values of the resamples, shape (resamples,). NaN, where a value does not exist, counts as the
            least for the low end and as the greatest for the high end, so that leaving values out makes no
            interval short.
        n: samples behind each draw, at least two.
        tail: chance left out on one side, as a fraction.
        interpolated: take a value between two draws, which all have to be finite. Otherwise an end is a draw
            itself, since there is nothing between a number and infinity.

    Example:
        >>> interval_ends(np.arange(1000.0), n=50, tail=0.025)
        (21.0, 978.0)
    """
    level = expanded_tail(n, tail)
    undefined = np.isnan(draws)
    low_rule: Literal["linear", "lower"] = "linear" if interpolated else "lower"
    high_rule: Literal["linear", "higher"] = "linear" if interpolated else "higher"
    low = np.quantile(np.where(undefined, -np.inf, draws), level, method=low_rule)
    high = np.quantile(np.where(undefined, np.inf, draws), 1 - level, method=high_rule)
    return float(low), float(high)


def stretched_interval(
    centre: float, draws: Floats, *, n: int, freedom: int, alpha: float, widen: float = 1.0
) -> tuple[float, float]:
    """Return the percentile interval of the draws with both arms lengthened.

    The factor is ``widen * t / z * sqrt(n / (n - 1))``, with the quantiles t of Student and z of the normal.

    Args:
        centre: value of the samples themselves, where the arms begin.
        draws: values of the resamples, shape (resamples,).
        n: samples behind each draw, at least two.
        freedom: degrees of freedom of Student's t.
        alpha: two-sided error.
        widen: a further factor.
    """
    from scipy.special import stdtrit  # noqa: PLC0415  a process that measures nothing need not load scipy

    low, high = np.quantile(draws, (alpha / 2, 1 - alpha / 2))
    tail = 1 - alpha / 2
    stretch = widen * float(stdtrit(freedom, tail)) / NormalDist().inv_cdf(tail) * math.sqrt(n / (n - 1))
    return centre - stretch * (centre - float(low)), centre + stretch * (float(high) - centre)


def mean_intervals(values: ArrayLike, seed: int, *, confidence: float = 0.95) -> Floats:
    """Return the ends of the bootstrap intervals of the columns' means, shape (columns, 2).

    The same samples are drawn for all columns, so that a difference of columns has a paired interval.

    Args:
        values: finite, shape (samples, columns), at least two samples.
        seed: the same values and seed give the same interval.
        confidence: two-sided level, as a fraction.

    Raises:
        ValueError: another shape, one sample, a value that is not finite.

    Example:
        >>> mean_intervals([[0.0], [0.0], [1.0], [1.0]], seed=0).tolist()
        [[0.0, 1.0]]
    """
    table = np.asarray(values, np.float64)
    if table.ndim != 2 or len(table) < 2 or not np.isfinite(table).all():
        raise ValueError(
            f"found values of shape {table.shape}, expected finite ones of shape (samples, columns) and at least two "
            "samples; one sample says nothing of the scatter"
        )
    n = len(table)
    draws = np.concatenate([weights @ table for weights in resampled_weights(n, RESAMPLES, seed)]) / n
    return np.array([interval_ends(column, n, (1 - confidence) / 2) for column in draws.T])
