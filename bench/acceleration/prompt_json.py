"""JSON files of prompts: a list of objects, and what else published sets are, one object or a list of texts.

- ``[{"prompt": "a cat"}, {"prompt": "a dog"}]``: rows;
- ``["a cat", "a dog"]``, as HPS has it;
- ``{"prompt": ["a cat", "a dog"]}`` and ``{"prompt": {"0": "a cat"}}``: columns, as data frames are written;
- ``{"d1f4": {"prompt": "a cat"}}``: rows by their name, as MJHQ-30K has them, or prompts by their name;
- ``{"images": [...], "annotations": [...]}``: COCO's captions, of which each image's first one counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.core.files import NotStrict, loads_strictly
from bench.core.row_files import Problem

_COCO = 'expected COCO\'s form, {"annotations": [{"image_id": 1, "caption": "..."}]}'


def json_columns(
    path: Path, text: str, names: Sequence[str], problem: Problem
) -> dict[str, list[Any]] | None:
    """Return the columns of a text in one of these forms; None for an object to a line, and for what has another form.

    Args:
        path: of the text, for messages.
        text: the text.
        names: what columns of prompts are called.
        problem: makes the exception to raise from a message.

    Raises:
        Exception: what `problem` makes, of one of these forms with something in it that is none.
    """
    if '"annotations"' in text and text.lstrip().startswith("{"):
        return {"caption": _coco(path, text, problem)}
    try:
        found = loads_strictly(text)
    except NotStrict as error:
        if not _is_json(text):  # the first of several objects, one to a line
            return None
        raise problem(f"{path}: {error}") from error
    except (ValueError, RecursionError):  # an object to a line, or a mistake, whose reader says where
        return None
    if isinstance(found, list):
        return {"prompt": found} if _are_texts(found) else _of_rows(found)
    return _of_object(path, found, names, problem) if isinstance(found, dict) and found else None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _of_object(
    path: Path, found: Mapping[str, Any], names: Sequence[str], problem: Problem
) -> dict[str, list[Any]] | None:
    column = next((name for name in found if name.strip().lower() in names), None)
    if column is not None:
        values = {name: _cells(value) for name, value in found.items()}
        is_row = values[column] is None
        return (
            {name: [value] for name, value in found.items()}
            if is_row
            else _columns(path, values, column, problem)
        )
    rows = list(found.values())
    return {"prompt": rows} if _are_texts(rows) else _of_rows(rows)


def _of_rows(rows: Sequence[Any]) -> dict[str, list[Any]] | None:
    """Return the columns of rows, with None where a row lacks one; None for what are no rows."""
    if not rows or not all(isinstance(row, dict) for row in rows):
        return None
    keys = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in keys}


def _are_texts(values: Sequence[Any]) -> bool:
    return bool(values) and all(isinstance(value, str) for value in values)


def _cells(value: Any) -> list[Any] | None:
    """Return the cells of a column, None for what is none."""
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list) else None


def _columns(
    path: Path, values: Mapping[str, list[Any] | None], column: str, problem: Problem
) -> dict[str, list[Any]]:
    count = len(values[column] or ())
    if not count:
        raise problem(f"{path}: found no rows in {column!r}; expected at least one; add some")
    for name, cells in values.items():
        if cells is not None and len(cells) != count:
            raise problem(
                f"{path}: found {count} entries in {column!r} and {len(cells)} in {name!r}, expected as many of each; "
                "correct it"
            )
    return {name: cells for name, cells in values.items() if cells is not None}


def _coco(path: Path, text: str, problem: Problem) -> list[str]:
    try:
        annotations = json.loads(text).get("annotations")
    except (ValueError, RecursionError) as error:
        raise problem(f"{path}: found what is no JSON ({error}); {_COCO}; correct it") from error
    captions: dict[Any, str] = {}
    for index, entry in enumerate(annotations if isinstance(annotations, list) else [annotations]):
        if isinstance(entry, dict) and "caption" not in entry and "category_id" in entry:
            raise problem(
                f"{path}: found an annotation [{index}] with a category_id and no caption; {_COCO}; give COCO's file of "
                "captions, captions_*.json"
            )
        image = entry.get("image_id") if isinstance(entry, dict) else None
        if not isinstance(image, int | str) or not isinstance(entry.get("caption"), str):
            raise problem(
                f"{path}: found an annotation [{index}] without an image_id or a caption; {_COCO}; correct it"
            )
        captions.setdefault(image, entry["caption"])
    if not captions:
        raise problem(f"{path}: found no captions; expected at least one; add some")
    return list(captions.values())
