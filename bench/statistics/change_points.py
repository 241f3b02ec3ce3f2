"""Where the level of a series changes, by the PELT algorithm of ruptures.

Source: Killick, Fearnhead and Eckley (2012), "Optimal Detection of Changepoints With a Linear Computational Cost".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

LEAST_POINTS = 6
"""Values below which nothing is said of changes."""
LEAST_SEGMENT = 2
PENALTY = 4.0
"""What a change costs, in units of the noise's variance times the logarithm of the number of values. BIC has 2 for a change
of the mean and its place; with more, plain noise is called a change less often."""
_NORMAL_MAD = 0.6745


def change_points(values: Sequence[float], noise: float = 0.0) -> list[int]:
    """Return the places at which another level begins, in their order; empty for fewer than `LEAST_POINTS` values.

    The noise is taken from the differences of neighbours, which a change of level moves only once.

    Args:
        values: in the order of time, all finite.
        noise: standard error of a single value where it is known; the noise is at least that.

    Raises:
        ImportError: ruptures is not installed.

    Example:
        >>> change_points([1.0, 1.01, 0.99, 1.0, 1.5, 1.51, 1.49, 1.5])  # doctest: +SKIP
        [4]
    """
    import ruptures  # noqa: PLC0415  an extra: only `history` needs it

    series = np.asarray(values, dtype=float)
    n = len(series)
    if n < LEAST_POINTS or not np.isfinite(series).all():
        return []
    steps = np.abs(np.diff(series))
    scatter = max(float(np.median(steps)) / (_NORMAL_MAD * math.sqrt(2)), noise)
    if scatter == 0:  # most neighbours are equal
        scatter = float(steps.max()) * 1e-3
    if scatter == 0:
        return []
    model = ruptures.Pelt(model="l2", min_size=LEAST_SEGMENT, jump=1).fit(series[:, None] / scatter)
    return [int(place) for place in model.predict(pen=PENALTY * math.log(n))[:-1]]
