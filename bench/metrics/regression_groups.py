"""A metric of predicted numbers, averaged over groups of samples: each group counts the same, whatever its size.

Scores of groups that have ranges of their own, such as essays for different prompts, cannot be pooled: a correlation
over all of them is mostly that of the groups' means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from bench.core.estimate import Estimate
from bench.metrics.regression import (
    REGRESSION_METRICS,
    LabelRange,
    RegressionMetric,
    samples_of,
    value_of,
)
from bench.statistics.bootstrap import RESAMPLES, interval_ends, resampled_weights


def mean_over_groups(
    metric: str | RegressionMetric,
    groups: Mapping[str, tuple[ArrayLike, ArrayLike, LabelRange | None]],
    seed: int,
    *,
    confidence: float = 0.95,
) -> Estimate:
    """Return the mean of a metric over groups, with a bootstrap interval in which each group is resampled by itself.

    Where the metric does not exist in one group there is no mean, and the reason names that group: leaving it out would
    say that the others are all.

    Args:
        metric: name in `REGRESSION_METRICS`, or the metric itself.
        groups: gold and prediction of each, shape (samples of the group,), and its label range where the metric needs one.
        seed: the same samples and seed give the same interval.
        confidence: two-sided level of the interval, as a fraction.

    Raises:
        ValueError: no group, and as `with_interval`.

    Example:
        >>> groups = {"a": ([1, 2, 3], [1, 2, 3], None), "b": ([10, 20, 30], [30, 20, 10], None)}
        >>> mean_over_groups("pearson", groups, seed=0).value
        0.0
    """
    rule = REGRESSION_METRICS[metric] if isinstance(metric, str) else metric
    if not groups:
        raise ValueError("found no groups, expected at least one; give samples")
    values, draws, least, total = [], [], math.inf, 0
    for place, (name, (gold, prediction, label_range)) in enumerate(groups.items()):
        samples = samples_of(rule, gold, prediction, label_range)
        n = len(samples.gold)
        total, least = total + n, min(least, n)
        value, reason = value_of(rule, samples)
        if value is None:
            return _estimate(rule, confidence, n=None, reason=f"in {name}: {reason}")
        values.append(value)
        if n > 1:
            weightings = resampled_weights(n, RESAMPLES, seed + place)
            draws.append(
                np.concatenate([rule.function(replace(samples, weights=weights)) for weights in weightings])
            )
    mean = float(np.mean(values))
    if least < 2:
        return _estimate(
            rule, confidence, mean, n=total, reason="a group of one sample says nothing of the scatter"
        )
    low, high = interval_ends(np.mean(draws, axis=0), int(least), (1 - confidence) / 2)
    if not math.isfinite(low) or not math.isfinite(high):
        return _estimate(
            rule, confidence, mean, n=total, reason=f"{rule.name} does not exist in some resamples of a group"
        )
    return _estimate(rule, confidence, mean, low, high, n=total)


def _estimate(
    rule: RegressionMetric, confidence: float, value: float | None = None, low: float | None = None,
    high: float | None = None, *, n: int | None, reason: str | None = None,
) -> Estimate:  # fmt: skip
    return Estimate(
        metric=rule.name, value=value, low=low, high=high, n=n, higher_is_better=rule.higher_is_better,
        confidence=confidence, reason=reason,
    )  # fmt: skip
