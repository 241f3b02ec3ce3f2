"""Tables that others have written: CSV, Excel, parquet and JSON lines, read into columns."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.core import files
from bench.core.names import listed

Table = dict[str, list[Any]]
"""Columns by header, each with a value of every row; an empty cell is None."""

SUFFIXES = (".csv", ".tsv", ".xlsx", ".parquet", ".jsonl")
_DELIMITERS = (",", ";", "\t")
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n")
_WHAT = f"a table ({', '.join(suffix[1:] for suffix in SUFFIXES)})"


def read_table(path: Path, problem: Callable[[str], Exception] = ValueError) -> Table:
    """Return the columns of a table by their headers; its suffix says what it is.

    CSV is UTF-8 with or without a byte order mark, separated by commas, by tabs, or by semicolons, as Excel does it
    where the comma is in numbers. Of a workbook the first sheet is read. The apostrophe that `bench.report.export` puts
    in front of texts that begin like a formula is taken off. Cells of CSV are texts; other files have types.

    Args:
        path: the file.
        problem: makes the exception to raise from a message.

    Raises:
        Exception: what `problem` makes: no such file, another suffix, no header, a header twice, a row that is longer than
            the header, a file that cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise problem(
            f"{path}: found the suffix {suffix or '(none)'}, expected {_WHAT}; save it as one of these"
        )
    if not path.is_file():
        raise problem(
            f"{path}: {'found a folder' if path.is_dir() else 'no such file'}; expected {_WHAT}; correct the path"
        )
    if suffix == ".jsonl":
        objects = [row for _, row in files.read_jsonl(path, problem)]
        names = list(dict.fromkeys(name for row in objects for name in row))
        return {name: [row.get(name) for row in objects] for name in names}
    if suffix == ".parquet":
        return _read_parquet(path, problem)
    rows = _read_xlsx(path, problem) if suffix == ".xlsx" else _read_csv(path, problem)
    return _columns(path, rows, problem)


def require_columns(
    path: Path, table: Table, names: tuple[str, ...], problem: Callable[[str], Exception] = ValueError
) -> None:
    """Refuse a table that lacks a column; the message lists those that it has."""
    missing = [name for name in names if name not in table]
    if missing:
        raise problem(
            f"{path}: found the columns {listed(table, '(none)')}, expected {', '.join(names)}; add "
            f"or rename {', '.join(missing)}"
        )


def text_of(value: Any) -> str | None:
    """Return a cell as a text, as for keys: a whole number of a workbook without its `.0`; None where it is empty."""
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def number_of(value: Any) -> Any:
    """Return a cell as a number where its text is one, with a point or a comma; anything else as it is."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    for form in (text, text.replace(",", ".") if text.count(",") == 1 and "." not in text else text):
        try:
            return float(form) if "_" not in form else value
        except ValueError:
            continue
    return value


def _read_csv(path: Path, problem: Callable[[str], Exception]) -> list[list[Any]]:
    text = files.read_text(path, problem, what="a table as CSV")
    first = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise problem(f"{path}: this is no CSV ({error}); expected {_WHAT}; export it again") from error
    return [[_undefused(cell) if cell else None for cell in row] for row in rows if any(row)]


def _read_xlsx(path: Path, problem: Callable[[str], Exception]) -> list[list[Any]]:
    from openpyxl import load_workbook  # noqa: PLC0415  slow, and most runs read no workbook

    try:
        book = load_workbook(path, read_only=True, data_only=True)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # some writers state a wrong size
        rows = [list(row) for row in sheet.iter_rows(values_only=True)]
        book.close()
    except Exception as error:  # zip and XML have exceptions of their own
        raise problem(f"{path}: this is no workbook ({error}); expected {_WHAT}; save it again") from error
    return [[_undefused(cell) for cell in row] for row in rows if any(cell is not None for cell in row)]


def _read_parquet(path: Path, problem: Callable[[str], Exception]) -> Table:
    import pyarrow as pa  # noqa: PLC0415  slow, and most runs read no parquet
    from pyarrow import parquet  # noqa: PLC0415

    try:
        columns: Table = parquet.read_table(path).to_pydict()
    except (pa.ArrowException, OSError) as error:
        raise problem(
            f"{path}: this is no parquet file ({error}); expected {_WHAT}; save it again"
        ) from error
    return columns


def _columns(path: Path, rows: list[list[Any]], problem: Callable[[str], Exception]) -> Table:
    if not rows:
        raise problem(f"{path}: found no rows, expected {_WHAT} with a header; see what wrote it")
    header = [None if cell is None else str(cell).strip() for cell in rows[0]]
    while header and header[-1] is None:
        header.pop()
    twice = [name for name, count in Counter(header).items() if name is not None and count > 1]
    if twice or None in header:
        found = f"the header {twice[0]} twice" if twice else "a column without a header"
        raise problem(f"{path}: found {found}, expected each column to have a name of its own; rename it")
    width = len(header)
    for number, row in enumerate(rows[1:], 2):
        if any(cell is not None for cell in row[width:]):
            raise problem(
                f"{path}, row {number}: found {len(row)} cells under {width} headers ({', '.join(map(str, header))}), "
                "expected a header for each; add what is missing"
            )
    return {
        str(name): [row[place] if place < len(row) else None for row in rows[1:]]
        for place, name in enumerate(header)
    }


def _undefused(cell: Any) -> Any:
    is_defused = isinstance(cell, str) and cell.startswith("'") and cell[1:].startswith(_FORMULA_SIGNS)
    return cell[1:] if is_defused else cell
