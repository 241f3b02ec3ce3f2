"""Shares of right answers and means of values from 0 to 1: Wilson's interval, and the check of a confidence level."""

from __future__ import annotations

import math
from statistics import NormalDist


def wilson_interval(successes: float, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the two-sided score interval of a share, without continuity correction.

    It stays within [0, 1] and has a length even where all answers are right or all are wrong. Source: Wilson
    1927, Journal of the American Statistical Association 22:209.

    Args:
        successes: right answers, or the sum of values from 0 to 1. Such values scatter at most as much as answers with the
            same mean, which are 0 or 1, so that the interval of their mean is at least as long as it must be.
        n: how many.
        confidence: two-sided level, as a fraction.

    Raises:
        ValueError: n under 1, successes that are not between 0 and n, or a confidence that is no fraction.

    Example:
        >>> [round(end, 3) for end in wilson_interval(8, 10)]
        [0.49, 0.943]
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"found {successes} successes of {n}, expected between none and all of at least one")
    check_confidence(confidence)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # Rounding alone would leave the ends a little off 0 and 1.
    low = 0.0 if successes == 0 else centre - reach
    high = 1.0 if successes == n else centre + reach
    return low, high


def check_confidence(confidence: float) -> None:
    """Refuse a confidence level that is not strictly between 0 and 1.

    Raises:
        ValueError: with the level that was found.
    """
    if not 0 < confidence < 1:
        raise ValueError(
            f"found a confidence of {confidence:g}, expected a fraction between 0 and 1, such as 0.95"
        )
