"""Bootstrap intervals over samples, at the quantile levels of Hesterberg (2015, The American Statistician 69:371).

Percentiles by themselves are too short for few samples.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.statistics.paired_times import expanded_tail

Floats = NDArray[np.float64]

# With these the ends of an interval move by about a hundredth of its length from one seed to the next.
RESAMPLES = 5_000
_BLOCK_ELEMENTS = 200_000  # weights held at once: they stay in the processor's cache


def resampled_weights(n: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield how often each sample was drawn, shape (resamples of a block, n)."""
    rng = np.random.default_rng(seed)
    block = max(_BLOCK_ELEMENTS // n, 1)
    for done in range(0, resamples, block):
        rows = min(block, resamples - done)
        drawn = rng.integers(0, n, size=(rows, n)) + np.arange(rows)[:, None] * n
        yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def interval_ends(draws: Floats, n: int, tail: float) -> tuple[float, float]:
    """Return the quantiles of the draws that leave out `tail` on either side, further out for few samples."""
    level = expanded_tail(n, tail)
    undefined = np.isnan(draws)
    # Always a draw itself: there is nothing between a number and the infinite.
    low = np.quantile(np.where(undefined, -np.inf, draws), level, method="lower")
    high = np.quantile(np.where(undefined, np.inf, draws), 1 - level, method="higher")
    return float(low), float(high)


def mean_intervals(values: ArrayLike, seed: int, *, confidence: float = 0.95) -> Floats:
    """Return the ends of the bootstrap intervals of the columns' means, shape (columns, 2).

    The same samples are drawn for all
    columns, so that a difference of columns has a paired interval.

    Args:
        values: finite, shape (samples, columns), at least two samples.
        seed: the same values and seed give the same interval.
        confidence: two-sided level, as a fraction.

    Raises:
        ValueError: another shape, one sample, a value that is not finite.
    """
    table = np.asarray(values, np.float64)
    if table.ndim != 2 or len(table) < 2 or not np.isfinite(table).all():
        raise ValueError(
            f"found values of shape {table.shape}, expected finite ones of shape (samples, columns) and at least "
            "two samples, since one says nothing of the scatter"
        )
    n = len(table)
    draws = np.concatenate([weights @ table for weights in resampled_weights(n, RESAMPLES, seed)]) / n
    return np.array([interval_ends(column, n, (1 - confidence) / 2) for column in draws.T])
