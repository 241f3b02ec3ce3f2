"""How near predictions are on the task's range, and what they gain over always predicting the mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from bench.core.estimate import Estimate
from bench.metrics.regression import REGRESSION_METRICS, with_interval
from bench.regression.record import RegressionGain
from bench.regression.scale import Floats, ScoreRange
from bench.regression.task import RegressionTask, is_whole
from bench.statistics.bootstrap import RESAMPLES, interval_ends, resampled_weights

# By the names that tables show; the last one for tasks whose scores are labels.
METRICS = {
    "pearson": "pearson", "spearman": "spearman", "mae": "mae", "rmse": "rmse",
    "qwk": "quadratic_weighted_kappa",
}  # fmt: skip
MAIN_METRIC = "rmse"
OVER = "the mean"
_OF_LABELS = "qwk"


def metric_names(task: RegressionTask) -> tuple[str, ...]:
    """Return the names of what is measured of a task."""
    return tuple(name for name in METRICS if name != _OF_LABELS or task.label_step is not None)


def measure(
    gold: Floats, prediction: Floats, scores: ScoreRange, label_step: float | None, seed: int
) -> dict[str, Estimate]:
    """Return each metric with its interval; one that does not exist says why.

    Args:
        gold, prediction: finite, on the task's range, shape (samples,); gold values are labels where there is a step.
        scores: the range.
        label_step: distance of neighbouring labels; None where scores are no labels, and then there is no kappa.
        seed: of the bootstrap.
    """
    estimates = {
        name: with_interval(metric, gold, prediction, seed)
        for name, metric in METRICS.items()
        if name != _OF_LABELS
    }
    if label_step is not None:
        labels, label_range = _labels(scores, label_step)
        kappa = with_interval(
            METRICS[_OF_LABELS], np.rint(labels(gold)), labels(prediction), seed, label_range=label_range
        )
        estimates[_OF_LABELS] = msgspec.structs.replace(kappa, metric=_OF_LABELS)
    return estimates


def gain_over_mean(gold: Floats, prediction: Floats, seed: int) -> RegressionGain:
    """Return RMSE(mean) - RMSE(prediction) with a paired bootstrap interval over the samples.

    The mean is that of the evaluated scores, in each resample its own: of all constants the one with the least error.
    The training mean would be beaten, by chance, by a model that learnt nothing and predicts nearly one value that
    happens to lie on the right side of it.

    Paired: a resample counts the same samples for both, so that a hard sample does not widen the interval.

    Args:
        gold, prediction: shape (samples,), at least two.
        seed: the same samples and seed give the same interval.
    """
    n, mean = len(gold), float(gold.mean())
    # About the mean, so that no digits are lost where scores are large and near each other.
    centred, errors = gold - mean, (gold - prediction) ** 2

    def gains(weights: Floats) -> Floats:
        variance = weights @ centred**2 / n - (weights @ centred / n) ** 2
        return np.asarray(np.sqrt(np.maximum(variance, 0)) - np.sqrt(weights @ errors / n))

    draws = np.concatenate([gains(weights) for weights in resampled_weights(n, RESAMPLES, seed)])
    low, high = interval_ends(draws, n, 0.025)
    return RegressionGain(
        metric=MAIN_METRIC, over=OVER, value=float(gains(np.ones(n))), low=low, high=high, n=n, mean=mean,
        mean_rmse=float(gold.std()),
    )  # fmt: skip


def compute_metrics(scores: ScoreRange, label_step: float | None = None) -> Callable[[Any], dict[str, float]]:
    """Return a `compute_metrics` for a Trainer of your own: the same metrics on the task's range, without intervals.

    A metric that does not exist, such as the correlation of a constant, is left out. `metric_for_best_model` then says
    that it is missing; NaN would compare as neither better nor worse.
    """

    def compute(predicted: Any) -> dict[str, float]:
        prediction = scores.from_unit(np.asarray(predicted.predictions, dtype=np.float64).reshape(-1))
        gold = scores.from_unit(np.asarray(predicted.label_ids, dtype=np.float64).reshape(-1))
        values = {name: REGRESSION_METRICS[name](gold, prediction) for name in METRICS if name != _OF_LABELS}
        if label_step is not None:
            labels, label_range = _labels(scores, label_step)
            kappa = REGRESSION_METRICS[METRICS[_OF_LABELS]]
            values[_OF_LABELS] = kappa(np.rint(labels(gold)), labels(prediction), label_range=label_range)
        return {name: value for name, value in values.items() if value is not None}

    return compute


def _labels(scores: ScoreRange, step: float) -> tuple[Callable[[Floats], Floats], tuple[float, float]]:
    """Return a function that turns scores into numbers that are whole where scores are labels, and their range.

    Kappa is the same for labels that are stretched or shifted. They are shifted only where it is needed, since of two
    neighbours a half is rounded to the even one.
    """
    start = 0.0 if is_whole(scores.low / step) else scores.low
    ends = (round((scores.low - start) / step), round((scores.high - start) / step))
    return lambda values: (values - start) / step, ends
