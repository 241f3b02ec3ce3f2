"""Whether two ways through a model give the same: the few random tokens that are tried, and how far both may differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

_EXACT, _HALF = 2e-4, 0.25
"""Greatest difference of log-probabilities in single precision, and in half."""


def random_texts(vocabulary: int) -> Callable[[int], tuple[int, ...]]:
    """Return what draws so many token ids, the same in every process; none of the first, which are often special."""
    rng, low = np.random.default_rng(0), min(vocabulary - 1, 3)

    def drawn(count: int) -> tuple[int, ...]:
        return tuple(rng.integers(low, vocabulary, count).tolist())

    return drawn


def is_same(worst: float, model: Any) -> bool:
    """Whether log-probabilities that are so far apart at most are the same in a model's precision."""
    return worst < (_EXACT if model.dtype.itemsize >= np.dtype(np.float32).itemsize else _HALF)
