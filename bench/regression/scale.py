"""The range of a task's scores, mapped to the 0..1 of a sigmoid and back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ScoreRange:
    """The least and the greatest score that can be.

    Raises:
        ValueError: ends that are not finite, or not the smaller one first.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse a range that nothing can be scaled to."""
        if not (self.low < self.high and math.isfinite(self.high - self.low)):
            raise ValueError(
                f"found the score range from {self.low} to {self.high}, expected two finite numbers, the smaller first; "
                "correct them"
            )

    def to_unit(self, scores: ArrayLike) -> Floats:
        """Return scores of the range as numbers from 0 to 1, of the same shape."""
        return (np.asarray(scores, dtype=np.float64) - self.low) / (self.high - self.low)

    def from_unit(self, values: ArrayLike) -> Floats:
        """Return numbers from 0 to 1 as scores of the range, of the same shape: `x * (high - low) + low`.

        A list is made an array first: a list times 3 is the list repeated three times.
        """
        return np.asarray(values, dtype=np.float64) * (self.high - self.low) + self.low

    def contains(self, score: float) -> bool:
        """Whether a score is a number of the range; NaN is not."""
        return self.low <= score <= self.high
