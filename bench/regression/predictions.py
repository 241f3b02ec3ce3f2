"""Predictions of a table in place of a model's: any model's, wherever it ran, joined to the rows by their keys."""

from __future__ import annotations

from numbers import Real
from pathlib import Path

import numpy as np

from bench.core.errors import TuningProblem
from bench.core.tables import number_of, read_table, require_columns, text_of
from bench.regression.dataset import ScoredText, groups_of
from bench.regression.scale import SINGLE, Floats, Scale

KEY, PREDICTION = "key", "prediction"
_NAMED = 5


def column_of(target: str, what: str = PREDICTION) -> str:
    """Return the column of a target, such as ``prediction_style``; of the only target ``prediction``."""
    return what if target == SINGLE else f"{what}_{target}"


def read_predictions(file: Path, rows: list[ScoredText], scale: Scale, warnings: list[str]) -> Floats:
    """Return the predictions of a table for rows, on the real range, shape (rows, targets).

    Args:
        file: CSV, Excel, parquet or JSON lines with the columns `key` and `prediction`, or one `prediction_<target>` for
            each of several targets. Other columns are not read, so that a run's own table of samples will do.
        rows: the evaluation rows, in the order of the result.
        scale: the ranges of the targets.
        warnings: gets how many predictions belong to no row or lie outside the range.

    Raises:
        TuningProblem: ``predictions_missing``: a table that cannot be read, a row without a prediction, a key twice;
            ``inference_failed``: a prediction that is no finite number, or all of them outside the range, which says that
            they are on another scale.
    """
    table = read_table(file, _missing)
    columns = [column_of(target) for target in scale.names]
    require_columns(file, table, (KEY, *columns), _missing)
    places: dict[str, int] = {}
    for place, cell in enumerate(table[KEY]):
        key = text_of(cell) or ""
        if key in places:
            raise _missing(
                f"{file}: found the key {key!r} twice, expected one prediction for each row; leave one out"
            )
        places[key] = place
    lost = [row.key for row in rows if row.key not in places]
    if lost:
        raise _missing(
            f"{file}: found no prediction for {len(lost)} of {len(rows)} rows ({', '.join(lost[:_NAMED])}), expected "
            "one for "
            "each; predict them too"
        )
    known = {row.key for row in rows}
    others = [key for key in places if key not in known]
    if others:
        warnings.append(
            f"predictions of {file.name} for no evaluated row: {len(others)} (first: {others[0] or 'an empty key'})"
        )
    found = np.array(
        [[_number(file, row.key, table[column][places[row.key]]) for column in columns] for row in rows]
    )
    low, high = scale.ends(groups_of(rows, scale))
    outside = (found < low) | (found > high)
    for place, target in enumerate(scale.names):
        if outside[:, place].all():
            raise TuningProblem(
                "inference_failed",
                f"{file}: found every {column_of(target)} outside the range, such as {found[0, place]:g} for "
                f"{rows[0].key} of "
                f"{low[0, place]:g} to {high[0, place]:g}, expected the real range; map them to it: x * (high - low) + low",
            )
    if outside.any():
        warnings.append(f"predictions of {file.name} outside the task's range: {int(outside.sum())}")
    return found


def _number(file: Path, key: str, cell: object) -> float:
    value = number_of(cell)
    if isinstance(value, bool) or not isinstance(value, Real) or not np.isfinite(float(value)):
        raise TuningProblem(
            "inference_failed",
            f"{file}: found the prediction {cell!r} for {key}, expected a finite number; correct the table",
        )
    return float(value)


def _missing(message: str) -> TuningProblem:
    return TuningProblem("predictions_missing", message)
