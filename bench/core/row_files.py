"""Rows of tables: local files are read here, folders and names on a hub by ``datasets``.

A local file never goes through ``datasets``. It takes a path for a pattern, so that ``[x]``, ``*`` and ``?`` in a name find
other files or none, keeps a copy in its cache, and says of a bad file what its own code ran into.
"""

from __future__ import annotations

import csv
import glob
import io
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.core.files import NotStrict, loads_strictly, mark_of, parse_jsonl, read_file, read_text

SUFFIXES = (".jsonl", ".json", ".parquet", ".csv")
Problem = Callable[[str], Exception]
_EXPECTED = {
    ".jsonl": "one JSON object to a line",
    ".json": "a JSON list of objects, or one object to a line",
    ".csv": "a header, and rows separated by commas",
}
# Exceptions that say what code ran into, not what is wrong with the data.
_INTERNAL = (
    LookupError,
    TypeError,
    AttributeError,
    StopIteration,
    AssertionError,
    UnboundLocalError,
    RecursionError,
)


class RowFile:
    """A local file of rows: jsonl, json, csv or parquet.

    Texts stay as they are written: a cell "NA" or "007" of a csv file is a text.

    Args:
        path: the file; its suffix says what it is.
        problem: makes the exception to raise from a message.

    Raises:
        Exception: what `problem` makes: a file of another kind, one that cannot be read, or that holds no rows.

    Attributes:
        column_names: names of the columns.
    """

    def __init__(self, path: Path, problem: Problem) -> None:
        suffix = path.suffix.lower()
        self._rows: list[dict[str, Any]] | None = None
        self._table: Any = None
        if suffix == ".parquet":
            self._table = _parquet(path, problem)
            self.column_names = tuple(str(name) for name in self._table.schema_arrow.names)
            return
        require_suffix(path, SUFFIXES, problem)
        text = read_rows_text(path, problem, expected=_EXPECTED[suffix])
        reader = {".csv": _csv, ".json": _json, ".jsonl": _jsonl}[suffix]
        self._rows = reader(path, text, problem)
        if not self._rows:
            raise problem(f"{path}: found no rows; expected {_EXPECTED[suffix]}; add rows")
        self.column_names = tuple(dict.fromkeys(name for row in self._rows for name in row))

    def __getitem__(self, column: str) -> list[Any]:
        """Return a column; None where a row lacks it."""
        if self._rows is None:
            values: list[Any] = self._table.read(columns=[column]).column(column).to_pylist()
            return values
        return [row.get(column) for row in self._rows]

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows."""
        if self._rows is None:
            self._rows = self._table.read().to_pylist()
        return self._rows


def require_suffix(path: Path, suffixes: Sequence[str], problem: Problem) -> None:
    """Refuse a file that is not named as one of those that can be read.

    Raises:
        Exception: what `problem` makes.
    """
    if path.suffix.lower() not in suffixes:
        raise problem(
            f"{path}: found a {path.suffix or 'nameless'} file, expected {', '.join(suffixes)}; "
            "convert it, or correct its name"
        )


def read_rows_text(path: Path, problem: Problem, *, expected: str) -> str:
    """Return the text of a file of rows.

    Args:
        path: the file.
        problem: makes the exception to raise from a message.
        expected: the form of its rows, for the message.

    Raises:
        Exception: what `problem` makes, when the file cannot be read or has nothing but blank lines.
    """
    text = read_text(path, problem, what=f"a {path.suffix.lower()} file of rows")
    if not text.strip():
        found = "the file is empty" if not text else "it has only blank lines"
        raise problem(f"{path}: found no rows, {found}; expected {expected}; add rows")
    return text


def load(name: str, problem: Problem, *more: str, **options: Any) -> Any:
    """Return what ``datasets`` makes of a folder, saved or to be loaded, or of a name on the hub.

    Args:
        name: of the folder or on the hub.
        problem: makes the exception to raise from a message.
        more, options: for ``datasets.load_dataset``.

    Raises:
        Exception: what `problem` makes, when nothing can be loaded; the message says why, not in which code.
    """
    import datasets  # noqa: PLC0415 - slow to import, and local files do without it

    datasets.disable_progress_bars()
    folder, given = Path(name), name
    if folder.is_dir() and not any(folder.iterdir()):
        raise problem(
            f"{name}: the folder is empty; expected files of rows ({', '.join(SUFFIXES)}); add them"
        )
    try:
        is_saved = any((folder / state).is_file() for state in ("state.json", "dataset_dict.json"))
        with _without_pattern(folder) as place:
            if place is not None:
                name, options = str(place / "rows"), {**options, "keep_in_memory": True}
            if is_saved:
                return datasets.load_from_disk(name, keep_in_memory=options.get("keep_in_memory"))
            if place is not None:
                options["cache_dir"] = str(place / "cache")
            return datasets.load_dataset(name, *more, **options)
    except Exception as error:  # datasets raises whatever its readers and the hub raise
        where = "files of this folder" if folder.is_dir() else "dataset of this name"
        raise problem(
            f"{given}: found no {where} that can be loaded ({_why(error)}); expected rows with named columns; "
            + (
                "see whether each file is whole"
                if folder.is_dir()
                else "check the name and the connection, or give a file"
            )
        ) from error


@contextmanager
def _without_pattern(folder: Path) -> Iterator[Path | None]:
    """Give a folder whose path ``datasets`` would take for a pattern, or a URL, another path for a while.

    ``datasets`` resolves links of folders, but not those of files: the files are linked to from a temporary folder.
    """
    path = str(folder.absolute())
    if not folder.is_dir() or not (glob.has_magic(path) or "::" in path or "://" in path):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="modelgate-rows-") as temporary:
        place = Path(temporary).resolve()
        for directory, _, names in os.walk(folder, followlinks=True):
            copied = place / "rows" / os.path.relpath(directory, folder)
            copied.mkdir(parents=True, exist_ok=True)
            for name in names:
                (copied / name).symlink_to(Path(directory, name).resolve())
        yield place


def _parquet(path: Path, problem: Problem) -> Any:
    import pyarrow  # noqa: PLC0415 - only for files of its form
    from pyarrow import parquet  # noqa: PLC0415

    data = read_file(path, problem, what="a parquet file")
    if (mark := mark_of(data)) is not None and not data.startswith(b"PAR1"):
        raise problem(f"{path}: found {mark[0]}, expected a parquet file; {mark[1]}")
    if not data:
        raise problem(f"{path}: found no rows, the file is empty; expected a parquet file; write it again")
    try:
        return parquet.ParquetFile(pyarrow.BufferReader(data))
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        whole = data.startswith(b"PAR1") and data.endswith(b"PAR1")
        found = "a parquet file that is damaged" if whole else "no parquet file, or only a part of one"
        raise problem(f"{path}: found {found}, expected a whole one; write it again") from error


def read_csv(path: Path, text: str, problem: Problem) -> tuple[list[str], list[list[str]]]:
    """Return the header of a text of comma-separated values without blanks around its names, and the cells below it.

    Args:
        path: of the text, for messages.
        text: not blank.
        problem: makes the exception to raise from a message.

    Raises:
        Exception: what `problem` makes, of another separator, or a line with another count of cells than the header.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        lines = [(reader.line_num, line) for line in reader if line]
    except csv.Error as error:
        raise problem(
            f"{path}: found text that is no table, expected {_EXPECTED['.csv']}; "
            "see whether each quotation mark has its second one, and no cell is longer than 131,072 characters"
        ) from error
    header = [name.strip() for name in lines[0][1]]
    if len(header) == 1 and (found := next((mark for mark in ";\t|" if mark in header[0]), None)):
        name = {";": "semicolons", "\t": "tabs", "|": "bars"}[found]
        raise problem(
            f"{path}: found the header {header[0][:80]!r} with {name}, expected {_EXPECTED['.csv']}; save it with commas"
        )
    for number, line in lines[1:]:
        if len(line) != len(header):
            raise problem(
                f"{path}, line {number}: found {len(line)} fields, expected {len(header)} as in the header; "
                "put quotation marks around a text with commas"
            )
    return header, [line for _, line in lines[1:]]


def _csv(path: Path, text: str, problem: Problem) -> list[dict[str, Any]]:
    """Return the rows of a csv file; a column has numbers or truth values only if it would be written the same again."""
    header, lines = read_csv(path, text, problem)
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None or "" in header:
        raise problem(
            f"{path}: found the column {twice or ''!r} {'twice' if twice else 'without a name'} in the header, expected "
            "names that differ; rename it"
        )
    columns = [_typed([line[place] or None for line in lines]) for place in range(len(header))]
    return [dict(zip(header, cells, strict=True)) for cells in zip(*columns, strict=True)]


def _typed(cells: list[str | None]) -> list[Any]:
    """Return whole numbers, numbers or truth values, where each cell is as Python writes its value."""
    words = {"True": True, "False": False}
    texts = [cell for cell in cells if cell is not None]
    if texts and all(cell in words for cell in texts):
        return [None if cell is None else words[cell] for cell in cells]
    for kind in (int, float):
        if texts and all(_is_written_as(kind, cell) for cell in texts):
            return [None if cell is None else kind(cell) for cell in cells]
    return list(cells)


def _is_written_as(kind: type[int] | type[float], text: str) -> bool:
    try:
        value = kind(text)
    except ValueError:
        return False
    return str(value) == text and math.isfinite(value)


def _json(path: Path, text: str, problem: Problem) -> list[dict[str, Any]]:
    if not text.lstrip().startswith("["):
        _refuse_one_object(path, text, problem)
        return _jsonl(path, text, problem)
    try:
        found: list[dict[str, Any]] = loads_strictly(text)
    except NotStrict as error:
        raise problem(f"{path}: {error}") from error
    except (ValueError, RecursionError) as error:
        where = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise problem(f"{path}{where}: this is not JSON; expected a list of objects; correct it") from error
    bad = next((place for place, row in enumerate(found) if not isinstance(row, dict)), None)
    if bad is not None:
        raise problem(f"{path}: entry {bad} of the list is no object; expected a list of objects; correct it")
    return found


def _jsonl(path: Path, text: str, problem: Problem) -> list[dict[str, Any]]:
    return [row for _, row in parse_jsonl(path, text, problem, loads_strictly)]


def _refuse_one_object(path: Path, text: str, problem: Problem) -> None:
    """Refuse a file that is one object around its rows, or one row over several lines."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return
    if not isinstance(found, dict):
        return
    lists = [
        name
        for name, value in found.items()
        if isinstance(value, list) and value and isinstance(value[0], dict)
    ]
    if lists:
        raise problem(
            f"{path}: found one object with the rows in {lists[0]!r}, expected {_EXPECTED['.json']}; save the list in "
            f"{lists[0]!r} by itself"
        )


def _why(error: BaseException) -> str:
    """Return what an exception says of the data, in one line."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__  # type: ignore[assignment]  # "while generating the dataset" says nothing by itself
    for cause in reversed(chain):
        said = " ".join(str(cause).split())
        if said and not isinstance(cause, _INTERNAL):
            return said[:300]
    return "they hold no rows that can be read"
