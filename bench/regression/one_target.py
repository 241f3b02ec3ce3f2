"""How near predictions are on the task's range, and what they gain over always predicting the mean."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from bench.core.estimate import Estimate
from bench.metrics.regression import with_interval
from bench.regression.record import RegressionGain, named
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
OF_LABELS = "qwk"


def metric_names(task: RegressionTask) -> tuple[str, ...]:
    """Return the names of what is measured of a task: of several targets, each with the target in front."""
    return tuple(
        named(target, name)
        for target in task.scale.names
        for name in METRICS
        if name != OF_LABELS or task.step_of(target) is not None
    )


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
        if name != OF_LABELS
    }
    if label_step is not None:
        labels, label_range = labels_of(scores, label_step)
        kappa = with_interval(
            METRICS[OF_LABELS], np.rint(labels(gold)), labels(prediction), seed, label_range=label_range
        )
        estimates[OF_LABELS] = msgspec.structs.replace(kappa, metric=OF_LABELS)
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


def labels_of(scores: ScoreRange, step: float) -> tuple[Callable[[Floats], Floats], tuple[float, float]]:
    """Return a function that turns scores into numbers that are whole where scores are labels, and their range.

    Kappa is the same for labels that are stretched or shifted. They are shifted only where it is needed, since of two
    neighbours a half is rounded to the even one.
    """
    start = 0.0 if is_whole(scores.low / step) else scores.low
    ends = (round((scores.low - start) / step), round((scores.high - start) / step))
    return lambda values: (values - start) / step, ends
