"""Files of prompts in the forms in which they are published: tables, a prompt a line, COCO's captions.

- ``.tsv`` with a header, such as PartiPrompts', or without one, such as a number and a caption in each line;
- ``.csv`` with a header, DrawBench's table among them;
- ``.txt``: a prompt a line;
- ``.json`` in one of the forms of `bench.acceleration.prompt_json`;
- everything else that `bench.core.row_files` reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from bench.acceleration.inputs import COLUMNS as INPUT_COLUMNS
from bench.acceleration.prompt_json import json_columns
from bench.core.files import read_text, text_lines
from bench.core.names import quoted
from bench.core.row_files import SUFFIXES as ROW_SUFFIXES
from bench.core.row_files import Problem, RowFile, read_csv, read_rows_text, require_suffix

SUFFIXES = (*ROW_SUFFIXES, ".tsv", ".txt")
#: Columns that hold prompts, whatever the case of their letters.
COLUMNS = ("caption", "captions", "prompt", "prompts", "text")
# A cell as writers of tables put it into quotation marks, each of its own doubled.
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')


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


def read_prompt_file(path: Path, problem: Problem, column: str | None = None) -> Columns | RowFile:
    """Read a local file of prompts.

    Args:
        path: the file.
        problem: makes the exception to raise from a message.
        column: which column will be read, where it is known; a row with that name is a header.

    Raises:
        Exception: what `problem` makes: a file of another kind, one that cannot be read, or that holds no prompts.
    """
    require_suffix(path, SUFFIXES, problem)
    suffix = path.suffix.lower()
    if suffix == ".txt":
        text = read_rows_text(path, problem, expected="a prompt a line")
        return Columns(("prompt",), {"prompt": _txt(path, _with_newlines(text), problem)})
    if suffix == ".tsv":
        text = read_rows_text(path, problem, expected="rows separated by tabs")
        return _tsv(path, _with_newlines(text), problem, (*COLUMNS, *([] if column is None else [column])))
    if suffix == ".csv":
        return _csv(path, read_rows_text(path, problem, expected="a header, and rows"), problem)
    if suffix == ".json":
        columns = json_columns(path, read_text(path, problem, what="a .json file of rows"), COLUMNS, problem)
        if columns is not None:
            return Columns(tuple(columns), columns)
    return RowFile(path, problem)


def column_of(names: Sequence[str], wanted: Sequence[str]) -> str | None:
    """Return the first of the wanted columns that is there, whatever the case of its letters."""
    by_name = {name.strip().lower(): name for name in reversed(names)}
    return next((by_name[name.lower()] for name in wanted if name.lower() in by_name), None)


def _with_newlines(text: str) -> str:
    """Return a text whose lines end as those of other files do, where old programs ended them with a carriage return."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


# What a list has at its lines that is not of the prompts.
_MARKED = {
    "a number in front of each line": re.compile(r"\s*\(?[0-9]{1,5}[.):]\s"),
    "a mark in front of each line": re.compile(r"\s*[-*•]\s"),
    "quotation marks around each line": re.compile(r"""\s*["'“].*["'”]\s*,?\s*$"""),
}


def _txt(path: Path, text: str, problem: Problem) -> list[str]:
    lines = [line for _, line in text_lines(text)]
    if (found := _other_form(lines)) is not None:
        what, advice = found
        raise problem(f"{path}: found {what}, expected a prompt a line; {advice}")
    return lines


def _other_form(lines: Sequence[str]) -> tuple[str, str] | None:
    """Return what lines are that are no prompts alone, and what to do about it; None for lines that may be prompts."""
    if all(line.lstrip().startswith("{") and _is_object(line) for line in lines):
        return "a JSON object in each line", "name it .jsonl"
    counts = {line.count("\t") for line in lines}
    if len(counts) == 1 and counts != {0}:
        return "columns separated by tabs", "name it .tsv"
    header = lines[0].split(",")
    if len(header) > 1 and " " not in lines[0].strip() and column_of(header, COLUMNS) is not None:
        return f"the header {quoted(lines[0])}", "name it .csv"
    if len(lines) > 1:
        for what, mark in _MARKED.items():
            if all(map(mark.match, lines)):
                return what, "leave that out: a model would be given it"
    return None


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _csv(path: Path, text: str, problem: Problem) -> Columns:
    header, rows = read_csv(path, text, problem)
    if not rows:
        raise problem(f"{path}: found no rows below the header; expected at least one; add rows")
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is not None:
        raise problem(
            f"{path}: found the column {twice!r} twice in the header, expected names that differ; rename it"
        )
    return _named(header, rows)


def _named(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Columns:
    # The numbers of rows that a data frame was written with have no name.
    places = {name: place for place, name in enumerate(header) if name}
    return Columns(tuple(places), {name: [row[place] for row in rows] for name, place in places.items()})


def _tsv(path: Path, text: str, problem: Problem, known: Sequence[str]) -> Columns:
    lines = [(number, line.split("\t")) for number, line in text_lines(text)]
    width = len(lines[0][1])
    for number, row in lines:
        if len(row) != width:
            raise problem(
                f"{path}, line {number}: found {len(row)} fields, expected {width} as in the first row; correct the row"
            )
    rows = _unquoted([row for _, row in lines])
    if column_of(rows[0], (*known, *chain.from_iterable(INPUT_COLUMNS.values()))) is not None:
        header, *rows = rows
        if not rows:
            raise problem(f"{path}: found no rows below the header; expected at least one; add rows")
        return _named([name.strip() for name in header], rows)
    spoken = [
        index for index in range(width) if 2 * sum(" " in row[index].strip() for row in rows) > len(rows)
    ]
    names = " or ".join(COLUMNS)
    if len(spoken) != 1:
        raise problem(
            f"{path}: found {width} columns without a header, of which {len(spoken)} hold sentences; expected one of "
            f"them to be the prompts; add a header with {names}"
        )
    first, *others = (row[spoken[0]].strip() for row in rows)
    if " " not in first and others:
        raise problem(
            f"{path}, line {lines[0][0]}: found {quoted(first)} above sentences, which may be a header or a prompt, "
            f"expected a header with {names}; rename it, or add one above it"
        )
    return Columns(("prompt",), {"prompt": [row[spoken[0]] for row in rows]})


def _unquoted(rows: list[list[str]]) -> list[list[str]]:
    """Return the cells without the quotation marks that a program has put around them.

    A quotation mark is else a letter of a caption: a tab cannot stand in one, so nothing needs quoting. A program was there
    where a mark within a cell is doubled, or where all cells of a column are in marks.
    """
    columns = list(zip(*rows, strict=True))
    quoted_cells = [[_QUOTED.fullmatch(cell) for cell in column] for column in columns]
    is_written = any(found and '""' in found[1] for column in quoted_cells for found in column)
    if not is_written and not any(all(column) and len(column) > 1 for column in quoted_cells):
        return rows
    plain = [
        [found[1].replace('""', '"') if found else cell for cell, found in zip(column, cells, strict=True)]
        for column, cells in zip(columns, quoted_cells, strict=True)
    ]
    return [list(row) for row in zip(*plain, strict=True)]
