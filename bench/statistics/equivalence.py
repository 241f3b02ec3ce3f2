"""Equivalence: whether a value is as good as equal to another one, by two one-sided tests on its interval.

Source: Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15:657. With a 95 % interval each of the two tests
has an error of 2.5 %.
"""

from __future__ import annotations

import math
from typing import Literal

from bench.core.estimate import Estimate

Equivalence = Literal["equal", "different", "undecided"]


def equivalence(estimate: Estimate, centre: float, margin: float) -> Equivalence:
    """Return whether a value is within a margin of another one, with its whole interval.

    Args:
        estimate: with an interval; without one nothing is decided.
        centre: what it is compared with.
        margin: how far away is as good as equal, at least 0.

    Returns:
        ``equal`` where the whole interval is within the margin, its ends included; ``different`` where it is wholly outside
        on one side; else ``undecided``.

    Raises:
        ValueError: a negative margin, or one that is no number.

    Example:
        >>> change = Estimate(metric="contrast", value=0.5, low=-0.2, high=1.2)
        >>> equivalence(change, 0, 2), equivalence(change, 0, 1), equivalence(change, 5, 2)
        ('equal', 'undecided', 'different')
    """
    if not margin >= 0:
        raise ValueError(f"found a margin of {margin}, expected a number from 0")
    low, high = estimate.low, estimate.high
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return "undecided"
    if centre - margin <= low and high <= centre + margin:
        return "equal"
    if high < centre - margin or low > centre + margin:
        return "different"
    return "undecided"
