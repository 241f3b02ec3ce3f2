"""Files of prompts in the forms in which they are published: tables, a prompt a line, COCO's captions.

- ``.tsv`` with a header, such as PartiPrompts', or without one, such as a number and a caption in each line;
- ``.txt``: a prompt a line;
- ``.json`` as COCO has it: an object with ``images`` and ``annotations``, of which each image's first caption counts;
- everything that `bench.core.row_files` reads, DrawBench's table among it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.files import read_text, text_lines
from bench.core.row_files import SUFFIXES as ROW_SUFFIXES
from bench.core.row_files import Problem, RowFile, read_rows_text, require_suffix

SUFFIXES = (*ROW_SUFFIXES, ".tsv", ".txt")
#: Columns that hold prompts, whatever the case of their letters.
COLUMNS = ("caption", "captions", "prompt", "prompts", "text")


@dataclass(frozen=True)
class Columns:
    """A table of texts.

    Attributes:
        column_names: names of the columns.
        columns: by name.
    """

    column_names: tuple[str, ...]
    columns: dict[str, list[Any]]

    def __getitem__(self, column: str) -> list[Any]:
        """Return a column."""
        return self.columns[column]


def read_prompt_file(path: Path, problem: Problem) -> Columns | RowFile:
    """Read a local file of prompts.

    Raises:
        Exception: what `problem` makes: a file of another kind, one that cannot be read, or that holds no prompts.
    """
    require_suffix(path, SUFFIXES, problem)
    suffix = path.suffix.lower()
    if suffix == ".txt":
        text = read_rows_text(path, problem, expected="a prompt a line")
        return Columns(("prompt",), {"prompt": [line for _, line in text_lines(text)]})
    if suffix == ".tsv":
        return _tsv(path, read_rows_text(path, problem, expected="rows separated by tabs"), problem)
    if suffix == ".json":
        text = read_text(path, problem, what="a .json file of rows")
        if text.lstrip().startswith("{") and '"annotations"' in text:
            return _coco(path, text, problem)
    return RowFile(path, problem)


def column_of(names: Sequence[str], wanted: Sequence[str]) -> str | None:
    """Return the first of the wanted columns that is there, whatever the case of its letters."""
    by_name = {name.strip().lower(): name for name in reversed(names)}
    return next((by_name[name] for name in wanted if name in by_name), None)


def _tsv(path: Path, text: str, problem: Problem) -> Columns:
    # A quotation mark is a letter of a caption here: a tab cannot stand in one, so nothing needs quoting.
    rows = [line.split("\t") for _, line in text_lines(text)]
    width = len(rows[0])
    bad = next((number for number, row in enumerate(rows, 1) if len(row) != width), None)
    if bad is not None:
        raise problem(
            f"{path}, row {bad}: found {len(rows[bad - 1])} fields, expected {width} as in the first row; correct the row"
        )
    if column_of(rows[0], COLUMNS) is not None:
        names, *rows = rows
        if not rows:
            raise problem(f"{path}: found no rows below the header; expected at least one; add rows")
        return Columns(tuple(names), {name: [row[index] for row in rows] for index, name in enumerate(names)})
    spoken = [
        index for index in range(width) if 2 * sum(" " in row[index].strip() for row in rows) > len(rows)
    ]
    if len(spoken) != 1:
        raise problem(
            f"{path}: found {width} columns without a header, of which {len(spoken)} hold sentences; expected one of "
            f"them to be the prompts; add a header with {' or '.join(COLUMNS)}"
        )
    return Columns(("prompt",), {"prompt": [row[spoken[0]] for row in rows]})


def _coco(path: Path, text: str, problem: Problem) -> Columns:
    form = 'expected COCO\'s form, {"annotations": [{"image_id": 1, "caption": "..."}]}; correct it'
    try:
        annotations = json.loads(text).get("annotations")
    except (ValueError, RecursionError) as error:
        raise problem(f"{path}: found what is no JSON ({error}); {form}") from error
    captions: dict[Any, str] = {}
    for index, entry in enumerate(annotations if isinstance(annotations, list) else [annotations]):
        image = entry.get("image_id") if isinstance(entry, dict) else None
        if not isinstance(image, int | str) or not isinstance(entry.get("caption"), str):
            raise problem(f"{path}: found an annotation [{index}] without an image_id or a caption; {form}")
        captions.setdefault(image, entry["caption"])
    if not captions:
        raise problem(f"{path}: found no captions; expected at least one; add some")
    return Columns(("caption",), {"caption": list(captions.values())})
