"""All that is measured of predictions: a column for each target, and a table by group where groups have their own ranges."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from bench.core.estimate import Estimate
from bench.metrics.regression import REGRESSION_METRICS, LabelRange, with_interval
from bench.metrics.regression_groups import mean_over_groups
from bench.regression.one_target import (
    MAIN_METRIC,
    METRICS,
    OF_LABELS,
    OVER,
    gain_over_mean,
    labels_of,
    measure,
)
from bench.regression.record import RegressionGain, ScoreGroup, named
from bench.regression.scale import SINGLE, Floats, GroupRanges, Scale, ScoreRange
from bench.statistics.bootstrap import RESAMPLES, interval_ends, resampled_weights

Steps = Mapping[str, float | None]
_ERRORS = ("mae", "rmse")


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Attributes:
        metrics: by name, of several targets with the target in front.
        gains: over the mean, by target.
        groups: figures by target and group, where groups have ranges of their own.
    """

    metrics: dict[str, Estimate]
    gains: dict[str, RegressionGain]
    groups: list[ScoreGroup] = field(default_factory=list)

    @property
    def weakest(self) -> str:
        """The target that gains the least, measured by the error of its mean: the one that a case is known by."""

        def gained(target: str) -> float:
            gain = self.gains[target]
            low = gain.value if gain.low is None else gain.low
            return -math.inf if low is None else low / (gain.mean_rmse or 1.0)

        return min(self.gains, key=gained)


def figures(
    scale: Scale, steps: Steps, gold: Floats, raw: Floats, groups: Sequence[str | None], seed: int
) -> Figures:
    """Return everything that is measured of predictions.

    Args:
        scale: the ranges of the targets.
        steps: the distance of the labels of each target; None where its scores are no labels.
        gold: scores, shape (rows, targets).
        raw: predictions from 0 to 1, of the same shape.
        groups: of each row; None where ranges do not differ by group.
        seed: of the bootstrap.
    """
    predicted = scale.from_unit(raw, groups)
    metrics: dict[str, Estimate] = {}
    gains: dict[str, RegressionGain] = {}
    by_group: list[ScoreGroup] = []
    for place, target in enumerate(scale.names):
        column, prediction, ranges = gold[:, place], predicted[:, place], scale.targets[target]
        step = steps.get(target)
        if isinstance(ranges, ScoreRange):
            found = measure(column, prediction, ranges, step, seed)
            gains[target] = gain_over_mean(column, prediction, seed)
        else:
            unit = scale.to_unit(gold, groups)[:, place]
            found = _over_groups(ranges, step, column, prediction, (unit, raw[:, place]), groups, seed)
            gains[target] = _gain_over_group_means(ranges.field, unit, raw[:, place], groups, seed)
        if scale.group_field is not None:
            by_group += _table(scale, target, step, column, prediction, groups, seed)
        metrics |= {
            named(target, name): msgspec.structs.replace(estimate, metric=named(target, name))
            for name, estimate in found.items()
        }
        gains[target] = msgspec.structs.replace(gains[target], metric=named(target, MAIN_METRIC))
    return Figures(metrics, gains, by_group)


def values(
    scale: Scale, steps: Steps, gold: Floats, raw: Floats, groups: Sequence[str | None]
) -> dict[str, float]:
    """Return the metrics that exist by name, without intervals; arguments as for `figures`.

    Of several targets, `rmse` is that of all of them on the scale from 0 to 1.
    """
    predicted, found = scale.from_unit(raw, groups), dict[str, float]()
    for place, target in enumerate(scale.names):
        column, prediction, ranges = gold[:, place], predicted[:, place], scale.targets[target]
        step = steps.get(target)
        for name, metric in METRICS.items():
            if name == OF_LABELS and step is None:
                continue
            rule = REGRESSION_METRICS[metric]
            if isinstance(ranges, ScoreRange):
                label_range, (right, given) = _as_labels(ranges, step, column, prediction, name)
                value = rule(right, given, label_range=label_range)
            elif name in _ERRORS:
                value = rule(scale.to_unit(gold, groups)[:, place], raw[:, place])
            else:
                each = []
                for group, rows in _rows_by_group(groups).items():
                    label_range, (right, given) = _as_labels(
                        ranges.ranges[group], step, column[rows], prediction[rows], name
                    )
                    each.append(rule(right, given, label_range=label_range))
                value = None if None in each else float(np.mean([one for one in each if one is not None]))
            if value is not None:
                found[named(target, name)] = value
    if not scale.is_single:
        unit = scale.to_unit(gold, groups)
        found[MAIN_METRIC] = float(np.sqrt(np.mean((unit - raw) ** 2)))
    return found


def _as_labels(
    ranges: ScoreRange, step: float | None, gold: Floats, prediction: Floats, name: str
) -> tuple[LabelRange | None, tuple[Floats, Floats]]:
    """Return the values that a metric takes: labels for the agreement of labels."""
    if name != OF_LABELS or step is None:
        return None, (gold, prediction)
    labels, label_range = labels_of(ranges, step)
    return label_range, (np.rint(labels(gold)), labels(prediction))


def _rows_by_group(groups: Sequence[str | None]) -> dict[str, np.ndarray]:
    names = sorted({str(group) for group in groups})
    every = np.array([str(group) for group in groups])
    return {name: np.flatnonzero(every == name) for name in names}


def _over_groups(
    ranges: GroupRanges, step: float | None, gold: Floats, prediction: Floats, unit: tuple[Floats, Floats],
    groups: Sequence[str | None], seed: int,
) -> dict[str, Estimate]:  # fmt: skip
    """Return the metrics over all groups: errors as shares of each group's range, agreement as the groups' mean."""
    found = {}
    for name, metric in METRICS.items():
        if name in _ERRORS:
            found[name] = with_interval(metric, *unit, seed)
        elif name != OF_LABELS or step is not None:
            parts = {}
            for group, rows in _rows_by_group(groups).items():
                label_range, (right, given) = _as_labels(
                    ranges.ranges[group], step, gold[rows], prediction[rows], name
                )
                parts[group] = (right, given, label_range)
            found[name] = mean_over_groups(metric, parts, seed)
    return found


def _gain_over_group_means(
    what: str, gold: Floats, prediction: Floats, groups: Sequence[str | None], seed: int
) -> RegressionGain:
    """Return RMSE(mean of the group) - RMSE(prediction), as `gain_over_mean` does, on the scale from 0 to 1.

    A model that is told the group knows the group's mean without reading a text. The mean of all rows would be beaten by
    that alone.
    """
    n, errors = len(gold), (gold - prediction) ** 2
    rows_of = list(_rows_by_group(groups).values())
    centred = gold.copy()
    for rows in rows_of:
        centred[rows] -= gold[rows].mean()

    def gains(weights: Floats) -> Floats:
        squares = np.zeros(weights.shape[0])
        for rows in rows_of:
            drawn, values = weights[:, rows], centred[rows]
            count = np.maximum(drawn.sum(axis=1), 1)
            squares += np.maximum(drawn @ values**2 - (drawn @ values) ** 2 / count, 0)
        return np.asarray(np.sqrt(squares / n) - np.sqrt(weights @ errors / n))

    draws = np.concatenate([gains(weights) for weights in resampled_weights(n, RESAMPLES, seed)])
    low, high = interval_ends(draws, n, 0.025)
    return RegressionGain(
        metric=MAIN_METRIC, over=f"{OVER} of each {what}", value=float(gains(np.ones((1, n)))[0]), low=low, high=high, n=n,
        mean=float(gold.mean()), mean_rmse=float(np.sqrt(np.mean(centred**2))),
    )  # fmt: skip


def _table(
    scale: Scale, target: str, step: float | None, gold: Floats, prediction: Floats, groups: Sequence[str | None],
    seed: int,
) -> list[ScoreGroup]:  # fmt: skip
    table = []
    for group, rows in _rows_by_group(groups).items():
        ranges = scale.range_of(target, group)
        right, given = gold[rows], prediction[rows]
        table.append(
            ScoreGroup(
                target="" if target == SINGLE else target,
                group=group,
                low=ranges.low,
                high=ranges.high,
                n=len(rows),
                metrics=measure(right, given, ranges, step, seed),
                gain=gain_over_mean(right, given, seed) if len(rows) > 1 else None,
            )
        )
    return table
