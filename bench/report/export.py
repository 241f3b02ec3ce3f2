"""Tables of samples: parquet, CSV and xlsx, the same columns in each.

Parquet holds values as they are. `csv-bom` is CSV with a byte order mark, without which Excel reads UTF-8 as another
encoding. CSV and xlsx are opened in spreadsheets, where a text that begins like a formula is run
as one, so there such a text begins with an apostrophe. Numbers stay numbers in all three.
"""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from numpy.typing import NDArray

Columns: TypeAlias = "Mapping[str, Sequence[Any] | NDArray[Any]]"

DEFAULT_FORMATS = ("parquet", "csv")
# A spreadsheet takes a text that begins so for a formula: owasp.org, "CSV Injection".
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n")
# Limits of a sheet, from the specification of xlsx: the writer cuts longer texts silently.
XLSX_ROWS = 1_048_576
XLSX_CELL_LENGTH = 32_767
BOM = "csv-bom"
_CUT = " [cut]"
_SURROGATE = re.compile("[\ud800-\udfff]")


def write_table(stem: Path, columns: Columns, formats: Sequence[str] = DEFAULT_FORMATS) -> tuple[Path, ...]:
    """Write a table in several formats and return the files, in the order of `formats`.

    Args:
        stem: path without its suffix; the folder is made. A path that ends in the suffix of the only format
            is taken as it is.
        columns: by their headers; lists or arrays of the same length, shape (rows,). None is an empty cell.
        formats: of :data:`WRITERS`.

    Raises:
        ValueError: an unknown format, a path whose suffix contradicts a format, columns of different length
            or of mixed types, more rows than a sheet can hold.
    """
    for name in formats:
        if name not in WRITERS:
            raise ValueError(
                f"found the table format {name!r}, expected one of {', '.join(WRITERS)}; correct it"
            )
    if "csv" in formats and BOM in formats:
        raise ValueError(
            f"found the table formats csv and {BOM}, expected one of them, since both are {stem.name}.csv"
        )
    named = stem.suffix.lower().removeprefix(".")
    # Where a suffix contradicts a format, the writer of that format refuses the path.
    paths = tuple(
        stem if named in WRITERS else stem.with_name(f"{stem.name}.{name.removesuffix('-bom')}")
        for name in formats
    )
    for path, name in zip(paths, formats, strict=True):
        WRITERS[name](path, columns)
    return paths


def write_parquet(path: Path, columns: Columns) -> None:
    """Write a parquet file; arguments and errors as for `write_table`."""
    import pyarrow as pa  # noqa: PLC0415  slow, and collecting writes no table
    from pyarrow import parquet  # noqa: PLC0415

    _check_suffix(path, "parquet")
    arrays = {}
    for name, values in _plain(columns).items():
        try:
            arrays[name] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise ValueError(
                f"found a column {name!r} of mixed types ({error}), expected one type and None; convert it"
            ) from error
    with _replacing(path) as temporary:
        parquet.write_table(pa.table(arrays), temporary)


def write_csv(path: Path, columns: Columns, *, encoding: str = "utf-8") -> None:
    """Write a CSV file in UTF-8, floats with all their digits; arguments and errors as for `write_table`."""
    _check_suffix(path, "csv")
    table = _plain(columns)
    with _replacing(path) as temporary, open(temporary, "w", encoding=encoding, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(map(defused, table))
        writer.writerows(map(defused, row) for row in _rows(table))


def write_xlsx(path: Path, columns: Columns) -> None:
    """Write an Excel workbook of one sheet; arguments and errors as for `write_table`.

    What a cell cannot hold is marked: control characters become U+FFFD, a text over 32,767 characters ends
    with `[cut]`.
    """
    from openpyxl import Workbook  # noqa: PLC0415  most runs write no workbook
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE  # noqa: PLC0415

    _check_suffix(path, "xlsx")
    table = _plain(columns)
    count = len(next(iter(table.values()), ()))
    if count >= XLSX_ROWS:
        raise ValueError(
            f"found {count:,} rows for {path.name}, expected fewer than {XLSX_ROWS:,}, the limit of a sheet; write parquet "
            "or csv"
        )
    book = Workbook(write_only=True)
    sheet = book.create_sheet("samples")

    def cell(value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            value = str(value)  # a sheet has no such number
        if not isinstance(value, str):
            return value
        text = ILLEGAL_CHARACTERS_RE.sub("\ufffd", defused(value))
        if len(text) > XLSX_CELL_LENGTH:
            text = text[: XLSX_CELL_LENGTH - len(_CUT)] + _CUT
        made = WriteOnlyCell(sheet, text)
        made.data_type = "s"  # "#N/A" would be taken for an error
        return made

    sheet.append([cell(name) for name in table])
    for row in _rows(table):
        sheet.append([cell(value) for value in row])
    with _replacing(path) as temporary:
        book.save(temporary)


WRITERS: dict[str, Callable[[Path, Columns], None]] = {
    "parquet": write_parquet,
    "csv": write_csv,
    "xlsx": write_xlsx,
    BOM: partial(write_csv, encoding="utf-8-sig"),
}
"""The formats, by name and suffix."""


def defused(value: Any) -> Any:
    """Return a cell's value, a text that begins like a formula with an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_SIGNS) else value


def _plain(columns: Columns) -> dict[str, list[Any]]:
    """Return columns as lists of plain builtins."""
    table = {_text(name): _values(values) for name, values in columns.items()}
    lengths = {name: len(values) for name, values in table.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"found columns of different length, {lengths}, expected a value of each in each row; fill the gaps with None"
        )
    return table


def _values(values: Sequence[Any] | NDArray[Any]) -> list[Any]:
    plain: list[Any] = values.tolist() if hasattr(values, "tolist") else list(values)
    return [_text(value.item() if hasattr(value, "item") else value) for value in plain]


def _text(value: Any) -> Any:
    """Replace unpaired surrogates, which no file can hold."""
    return _SURROGATE.sub("\ufffd", value) if isinstance(value, str) else value


def _rows(table: Mapping[str, list[Any]]) -> Iterable[tuple[Any, ...]]:
    return zip(*table.values(), strict=True)


def _check_suffix(path: Path, wanted: str) -> None:
    if path.suffix.lower() != f".{wanted}":
        raise ValueError(
            f"found the path {path.name} for a table as {wanted}, expected one that ends in .{wanted}; rename it, "
            "or name the format that its suffix says"
        )


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Let a file be written under another name and put it in place when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
