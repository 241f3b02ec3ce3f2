"""Metrics of predicted numbers against the right ones: correlations, errors, agreement, and their intervals.

    with_interval("pearson", gold, prediction, seed=0)
    with_interval("quadratic_weighted_kappa", gold, prediction, seed=0, label_range=(1, 6))

Every metric is written once, for many weightings of the same samples: its value counts each sample once, and
a bootstrap resample counts it as often as it was drawn. Thousands of resamples then take array operations and
no sorting. Intervals are those of `bench.statistics.bootstrap`.

A correlation with something constant does not exist. It is None, with a reason. It is never NaN, which every
comparison passes over, and never 0, which would say that there is no relation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.core.estimate import Estimate
from bench.core.registry import Registry, caller_place
from bench.statistics.bootstrap import RESAMPLES, interval_ends, resampled_weights

Floats = NDArray[np.float64]
LabelRange = tuple[float, float]
Side = Literal["gold", "prediction"]

# Values that scatter by less than this share of themselves differ by rounding only.
_ROUNDING = 1e-13


# --- what a metric is ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Samples:
    """Gold and predicted values, and how often each sample counts.

    Attributes:
        gold, prediction: finite, shape (samples,).
        weights: whole numbers, shape (weightings, samples); each row adds up to the number of samples.
        label_range: the least and the greatest gold value that can be, where declared.
    """

    gold: Floats
    prediction: Floats
    weights: Floats
    label_range: LabelRange | None

    def mean(self, values: Floats) -> Floats:
        """Return means, shape (weightings,), of values of shape (samples,) or (weightings, samples)."""
        means: Floats = (self.weights * values).sum(axis=1) / self.weights.shape[1]
        return means


@dataclass(frozen=True)
class RegressionMetric:
    """A metric of predicted numbers; a call gives its value.

    Attributes:
        name: as in `REGRESSION_METRICS`.
        function: the value for each weighting, shape (weightings,), NaN where it does not exist.
        higher_is_better: what "better" means.
        varies: what must not be constant for the metric to exist.
        needs_label_range: whether values are labels, whole numbers on a scale that has to be declared.
    """

    name: str
    function: Callable[[Samples], Floats]
    higher_is_better: bool
    varies: tuple[Side, ...] = ()
    needs_label_range: bool = False

    def __call__(
        self, gold: ArrayLike, prediction: ArrayLike, *, label_range: LabelRange | None = None
    ) -> float | None:
        """Return the value, or None where it does not exist; arguments and errors as for `with_interval`."""
        value, _ = value_of(self, samples_of(self, gold, prediction, label_range))
        return value


REGRESSION_METRICS: Registry[RegressionMetric] = Registry("regression metric")
"""Every metric of this file, by its name."""


def _metric(
    *, higher_is_better: bool, varies: tuple[Side, ...] = (), needs_label_range: bool = False
) -> Callable[[Callable[[Samples], Floats]], RegressionMetric]:
    """Return a decorator that makes a registered metric, of the same name, of a function."""
    place = caller_place()

    def decorate(function: Callable[[Samples], Floats]) -> RegressionMetric:
        metric = RegressionMetric(function.__name__, function, higher_is_better, varies, needs_label_range)
        REGRESSION_METRICS.add(metric.name, metric, place=place)
        return metric

    return decorate


# --- metrics ------------------------------------------------------------------------------------------------


@_metric(higher_is_better=True, varies=("gold", "prediction"))
def pearson(samples: Samples) -> Floats:
    """Return the linear correlation, in [-1, 1]. Source: Pearson 1895.

    Example:
        >>> round(pearson([1, 2, 3, 4], [10, 20, 30, 50]), 3)
        0.983
    """
    return _correlation(samples, samples.gold, samples.prediction)


@_metric(higher_is_better=True, varies=("gold", "prediction"))
def spearman(samples: Samples) -> Floats:
    """Return the correlation of ranks, in [-1, 1]; equal values share their mean rank. Source: Spearman 1904.

    Example:
        >>> round(spearman([1, 2, 3, 4], [10, 20, 30, 50]), 3)
        1.0
    """
    return _correlation(samples, _ranks(samples, samples.gold), _ranks(samples, samples.prediction))


@_metric(higher_is_better=False)
def mae(samples: Samples) -> Floats:
    """Return the mean absolute error, in the unit of the gold values.

    Example:
        >>> mae([1, 2, 3], [1, 2, 6])
        1.0
    """
    return samples.mean(np.abs(samples.gold - samples.prediction))


@_metric(higher_is_better=False)
def rmse(samples: Samples) -> Floats:
    """Return the square root of the mean squared error, in the unit of the gold values.

    Example:
        >>> rmse([1, 2], [4, 6])
        3.5355339059327378
    """
    return np.sqrt(samples.mean((samples.gold - samples.prediction) ** 2))


@_metric(higher_is_better=True, varies=("gold",))
def r2(samples: Samples) -> Floats:
    """Return 1 minus the squared error over that of always predicting the mean of the gold values; at most 1.

    Below 0 is worse than that mean. Source: the coefficient of determination, as in scikit-learn.

    Example:
        >>> r2([1, 2, 3], [1, 2, 4])
        0.5
    """
    mean, variance = _moments(samples, samples.gold)
    error = samples.mean((samples.gold - samples.prediction) ** 2)
    return 1 - _ratio(error, variance, _varies(mean, variance))


@_metric(higher_is_better=True, needs_label_range=True)
def quadratic_weighted_kappa(samples: Samples) -> Floats:
    """Return the agreement of labels beyond chance, in [-1, 1], where a disagreement counts by its square.

    Predictions are rounded, halves to the even number, and clipped to the declared range. A disagreement is
    the difference of the labels themselves, not of their places among those seen: a label that nobody got
    widens the gap all the same.

    Source: Cohen 1968, Psychological Bulletin 70:213. In this form,
    ``1 - E[(g - p)^2] / (var g + var p + (E g - E p)^2)``, by Fleiss & Cohen 1973, Educational and
    Psychological Measurement 33:613.

    Example:
        >>> quadratic_weighted_kappa([1, 2, 3, 4], [1.2, 2, 2.8, 3], label_range=(1, 6))
        0.875
    """
    if samples.label_range is None:
        raise ValueError("found no label_range, expected the least and the greatest label, such as (1, 6)")
    labels = np.clip(np.rint(samples.prediction), *samples.label_range)
    mean, variance = _moments(samples, samples.gold)
    label_mean, label_variance = _moments(samples, labels)
    by_chance = variance + label_variance + (mean - label_mean) ** 2
    return 1 - _ratio(samples.mean((samples.gold - labels) ** 2), by_chance, by_chance > 0)


def _correlation(samples: Samples, first: Floats, second: Floats) -> Floats:
    mean, variance = _moments(samples, first)
    other_mean, other_variance = _moments(samples, second)
    together = samples.mean((first - mean[:, None]) * (second - other_mean[:, None]))
    scale = np.sqrt(variance) * np.sqrt(other_variance)
    exists = _varies(mean, variance) & _varies(other_mean, other_variance)
    # A correlation is within these bounds, but rounding can leave them.
    return np.clip(_ratio(together, scale, exists), -1, 1)


def _moments(samples: Samples, values: Floats) -> tuple[Floats, Floats]:
    """Return mean and variance, each of shape (weightings,)."""
    mean = samples.mean(values)
    return mean, samples.mean((values - mean[:, None]) ** 2)


def _varies(mean: Floats, variance: Floats) -> NDArray[np.bool_]:
    """Return whether values scatter by more than rounding does, shape (weightings,)."""
    return np.asarray(np.sqrt(variance) > _ROUNDING * np.abs(mean))


def _ratio(above: Floats, below: Floats, exists: NDArray[np.bool_]) -> Floats:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=exists & (below > 0))


def _ranks(samples: Samples, values: Floats) -> Floats:
    """Return the mean rank of each sample among those drawn, shape (weightings, samples).

    Found by counting how many of each value were drawn; the values are sorted only once.
    """
    _, codes = np.unique(values, return_inverse=True)
    by_value = np.argsort(codes, kind="stable")
    first_of_value = np.searchsorted(codes[by_value], np.arange(codes.max() + 1))
    drawn = np.add.reduceat(samples.weights[:, by_value], first_of_value, axis=1)
    ranks: Floats = np.cumsum(drawn, axis=1) - drawn + (drawn + 1) / 2
    return ranks[:, codes]


# --- a value and its interval -------------------------------------------------------------------------------


def with_interval(
    metric: str | RegressionMetric,
    gold: ArrayLike,
    prediction: ArrayLike,
    seed: int,
    *,
    label_range: LabelRange | None = None,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Return a metric of predictions with a bootstrap interval over the samples.

    A resample in which the metric does not exist counts as the worst for the low end and as the best for the
    high one, so that leaving it out makes no interval short. Where that leaves no end, there is no interval.

    Args:
        metric: name in `REGRESSION_METRICS`, or the metric itself.
        gold, prediction: shape (samples,), in the same unit; entry i of both is the same sample.
        seed: the same samples and seed give the same interval.
        label_range: the least and the greatest gold value that can be, whether or not they occur. Needed for
            the quadratic weighted kappa, with whole numbers; gold outside it is an error for every metric.
        confidence: two-sided level of the interval, as a fraction.
        resamples: how many are drawn.

    Raises:
        KeyError: an unknown metric, with the nearest names.
        ValueError: no samples, unequal lengths, a value that is not finite, gold outside the declared range,
            labels or a range that are not whole numbers where the metric needs them, a confidence that is no
            fraction.

    Example:
        >>> with_interval("mae", [1, 2, 3, 4], [2, 3, 4, 5], seed=0).text()
        '1.000 [1.000, 1.000]'
        >>> with_interval("pearson", [1, 2, 3], [2, 2, 2], seed=0).reason
        'pearson does not exist where the prediction is constant: all 3 values are 2, but for rounding'
    """
    rule = REGRESSION_METRICS[metric] if isinstance(metric, str) else metric
    if not 0 < confidence < 1 or resamples < 1:
        raise ValueError(
            f"found a confidence of {confidence:g} and {resamples} resamples, expected a fraction between 0 "
            "and 1, such as 0.95, and at least one resample"
        )
    samples = samples_of(rule, gold, prediction, label_range)
    n = len(samples.gold)
    value, reason = value_of(rule, samples)
    low, high = None, None
    if value is not None and n == 1:
        reason = "one sample says nothing of the scatter"
    elif value is not None:
        draws = np.concatenate(
            [
                rule.function(replace(samples, weights=weights))
                for weights in resampled_weights(n, resamples, seed)
            ]
        )
        ends = interval_ends(draws, n, (1 - confidence) / 2)
        if math.isfinite(ends[0]):
            low, high = ends
        else:
            undefined = int(np.isnan(draws).sum())
            reason = f"{rule.name} does not exist in {undefined} of {resamples} resamples: their values are all equal"
    return Estimate(
        metric=rule.name,
        value=value,
        low=low,
        high=high,
        n=n,
        higher_is_better=rule.higher_is_better,
        confidence=confidence,
        reason=reason,
    )


def value_of(metric: RegressionMetric, samples: Samples) -> tuple[float | None, str | None]:
    """Return the value, or None and the reason."""
    for side in metric.varies:
        values: Floats = getattr(samples, side)
        if float(values.std()) <= _ROUNDING * abs(float(values.mean())):
            return None, (
                f"{metric.name} does not exist where the {side} is constant: all {len(values)} values are "
                f"{values[0]:g}, but for rounding"
            )
    value = float(metric.function(samples)[0])
    if math.isnan(value):
        return None, (
            f"{metric.name} does not exist where gold and prediction are one and the same label: all "
            f"{len(samples.gold)} are {samples.gold[0]:g}"
        )
    return value, None


# --- input and its faults -----------------------------------------------------------------------------------


def samples_of(
    metric: RegressionMetric, gold: ArrayLike, prediction: ArrayLike, label_range: LabelRange | None
) -> Samples:
    """Return checked samples, each of which counts once; arguments and errors as for `with_interval`."""
    right, predicted = _numbers(gold, "gold"), _numbers(prediction, "prediction")
    if len(right) != len(predicted):
        raise ValueError(
            f"found {len(right)} gold values and {len(predicted)} predictions, expected equal numbers; give both "
            "for the same samples"
        )
    if metric.needs_label_range and label_range is None:
        raise ValueError(
            f"found no label_range for {metric.name}, expected the least and the greatest label there can "
            "be, such as (1, 6), since the labels that occur need not be all"
        )
    if label_range is not None:
        low, high = label_range
        whole = all(float(end).is_integer() for end in label_range) or not metric.needs_label_range
        if not (low < high and math.isfinite(high - low) and whole):
            raise ValueError(
                f"found the label_range {label_range}, expected two finite numbers, the smaller one first"
                f"{', both whole' if metric.needs_label_range else ''}"
            )
        for sample in np.flatnonzero((right < low) | (right > high))[:1]:
            raise ValueError(
                f"found gold[{sample}] = {right[sample]:g}, expected a value of the declared range from "
                f"{low:g} to {high:g}; widen the range, or see whether gold is scaled"
            )
    if metric.needs_label_range:
        for sample in np.flatnonzero(right != np.rint(right))[:1]:
            raise ValueError(
                f"found gold[{sample}] = {right[sample]:g}, expected a whole number, since {metric.name} "
                "compares labels; take pearson or mae for other numbers"
            )
    return Samples(right, predicted, np.ones((1, len(right))), label_range)


def _numbers(values: ArrayLike, name: str) -> Floats:
    array = _as_array(values, name)
    if array.ndim == 1 and array.dtype.kind not in "fiub":
        for sample, value in enumerate(array.tolist() if isinstance(values, np.ndarray) else list(values)):  # type: ignore[arg-type]
            if not isinstance(value, Real):
                raise ValueError(
                    f"found {name}[{sample}] = {value!r}, expected a number; leave the row out, or give it a number"
                )
        array = array.astype(np.float64)
    if array.ndim != 1 or not array.size:
        raise ValueError(
            f"found {name} of shape {array.shape} and type {array.dtype}, expected at least one number, "
            "shape (samples,); a head of one output gives (samples, 1), take its column"
        )
    numbers = array.astype(np.float64)
    for sample in np.flatnonzero(~np.isfinite(numbers))[:1]:
        raise ValueError(
            f"found {name}[{sample}] = {numbers[sample]:g}, expected a finite number; see what produced it"
        )
    return numbers


def _as_array(values: ArrayLike, name: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"found {name} of values with different shapes, expected a number for each sample; give one"
        ) from error
