"""What is measured of predictions, and a `compute_metrics` for a Trainer of your own. Needs no framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, Literal

import numpy as np

from bench.regression.figures import values
from bench.regression.one_target import MAIN_METRIC, METRICS, gain_over_mean, measure, metric_names
from bench.regression.scale import Floats, Scale, ScoreRange, Scores

__all__ = ["MAIN_METRIC", "METRICS", "compute_metrics", "gain_over_mean", "measure", "metric_names"]

UNIT = ScoreRange(0, 1)
Given = Literal["unit", "scores"]


def compute_metrics(
    scores: Scores = UNIT,
    label_step: float | Mapping[str, float] | None = None,
    *,
    given: Given = "unit",
    targets: Sequence[str] = (),
    groups: Sequence[str] | None = None,
) -> Callable[[Any], dict[str, float]]:
    """Return a `compute_metrics`: Pearson, Spearman, MAE, RMSE and, of labels, quadratic weighted kappa, without intervals.

    A metric that does not exist, such as the correlation of a constant, is left out. `metric_for_best_model` then says
    that it is missing; NaN would compare as neither better nor worse. Of several targets each has its own values, such as
    ``style_mae``, and `rmse` is that of all of them on the scale from 0 to 1.

    Args:
        scores: the range of the real scores; `GroupRanges` or a dictionary by target as for a task.
        label_step: distance of neighbouring labels where scores are labels; of several targets a dictionary.
        given: what the Trainer's labels and predictions are: ``unit``, numbers from 0 to 1 that stand for the range, or
            ``scores``, on the range itself.
        targets: names of the columns of predictions of shape (rows, targets), all on the range of `scores`. Left out, they
            are ``target_0``, ``target_1`` and so on.
        groups: the group of each evaluated row, in their order, for `GroupRanges`.

    Raises:
        ValueError: when it is called: labels outside what was declared, with the row; predictions that are nested or come
            in batches, shapes that do not fit.
    """
    if given not in ("unit", "scores"):
        raise ValueError(f"found given={given!r}, expected unit or scores; correct it")
    declared = scores if not targets or isinstance(scores, Mapping) else dict.fromkeys(targets, scores)

    def compute(predicted: Any) -> dict[str, float]:
        raw, gold = _array(predicted.predictions, "predictions"), _array(predicted.label_ids, "labels")
        scale = _scale(declared, gold)
        if raw.shape != gold.shape or gold.shape[1] != len(scale.names):
            raise ValueError(
                f"found predictions of shape {raw.shape} and labels of shape {gold.shape}, expected ({len(gold)}, "
                f"{len(scale.names)}) for both; return a number for each row and target, and no other output"
            )
        of_rows = _groups(scale, groups, len(gold))
        _check(gold, scale, of_rows, given)
        if given == "unit":
            gold = scale.from_unit(gold, of_rows)
        else:
            raw = scale.to_unit(raw, of_rows)
        steps = {
            target: label_step.get(target) if isinstance(label_step, Mapping) else label_step
            for target in scale.names
        }
        return values(scale, steps, gold, raw, of_rows)

    return compute


def _scale(declared: Scores, gold: Floats) -> Scale:
    width = gold.shape[1]
    if width > 1 and not isinstance(declared, Mapping):
        return Scale.of({f"target_{place}": declared for place in range(width)})
    return Scale.of(declared)


def _groups(scale: Scale, groups: Sequence[str] | None, rows: int) -> list[str | None]:
    if scale.group_field is None:
        return [None] * rows
    if groups is None or len(groups) != rows:
        raise ValueError(
            f"found {'no groups' if groups is None else f'{len(groups)} groups'} for {rows} rows, expected the "
            f"{scale.group_field} of each row; give them as groups=[...], in the order of the evaluated rows"
        )
    return list(groups)


def _check(gold: Floats, scale: Scale, groups: Sequence[str | None], given: Given) -> None:
    """Refuse labels that are not what was declared: read on another scale they would give plausible figures."""
    low, high = (np.zeros_like(gold), np.ones_like(gold)) if given == "unit" else scale.ends(groups)
    tolerance = 1e-6 * np.maximum(np.abs(low), np.abs(high))
    for row, target in np.argwhere(~((gold >= low - tolerance) & (gold <= high + tolerance)))[:1]:
        ends = f"{low[row, target]:g} to {high[row, target]:g}"
        todo = (
            "declare what they are: compute_metrics(ScoreRange(low, high), given='scores') for scores on their range"
            if given == "unit"
            else "declare the range that they have"
        )
        raise ValueError(
            f"found the label {gold[row, target]:g} in row {row}, expected one from {ends}; {todo}"
        )


def _array(found: Any, what: str) -> Floats:
    """Return labels or predictions as (rows, targets)."""
    if isinstance(found, tuple | dict):
        inner = ", ".join(map(str, found)) if isinstance(found, dict) else f"{len(found)} arrays"
        raise ValueError(
            f"found {what} that are nested ({inner}), expected one array; return `loss` and `logits` alone from the model, "
            "choose one with preprocess_logits_for_metrics, or set label_names=['labels']"
        )
    if found is None:
        raise ValueError(
            f"found no {what}, expected an array; set label_names=['labels'] in TrainingArguments"
        )
    if isinstance(found, list) and any(hasattr(part, "shape") for part in found):
        raise ValueError(
            f"found {what} as a list of {len(found)} batches, expected one array; set eval_do_concat_batches=True in "
            "TrainingArguments"
        )
    try:
        array = np.asarray(found)
    except ValueError as error:
        raise ValueError(f"found {what} of different lengths, expected (rows,) or (rows, targets)") from error
    if array.dtype.kind not in "fiub":
        for place, value in np.ndenumerate(np.asarray(found, dtype=object)):
            if not isinstance(value, Real):
                raise ValueError(
                    f"found {value if value is None else str(value)!r} in row {place[0]} of the {what}, expected a number; "
                    "leave the row out, or give it one"
                )
    array = array.astype(np.float64)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or not len(array):
        raise ValueError(
            f"found {what} of shape {array.shape}, expected (rows,) or (rows, targets); reduce other dimensions in the model"
        )
    return array
