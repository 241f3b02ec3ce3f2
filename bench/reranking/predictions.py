"""Scores of candidates from a table of the user's: CSV, parquet or xlsx with the columns query, candidate and score.

Names are texts: 007 stays 007. A column of relevances is read too where there is one. The tables that a run writes are
read as well, and an apostrophe that `bench.report.export` put before a formula's sign is taken off.
"""

from __future__ import annotations

import csv
import datetime
import math
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.errors import TuningProblem
from bench.metrics.ranking.trec_read import NUMBER
from bench.report.export import FORMULA_SIGNS

SUFFIXES = (".csv", ".parquet", ".xlsx")
_WORDS = {
    "query": ("query_id", "qid", "query", "topic"),
    "candidate": (
        "candidate_id", "document_id", "doc_id", "docid", "corpus_id", "docno", "pid", "candidate", "document", "doc",
    ),
    "score": ("score", "prediction", "similarity", "logit"),
    "relevance": ("relevance", "rel", "grade", "label", "labels", "gold"),
}  # fmt: skip
"""Headers of each column; where a table has several of them, the first one that it has."""
_NEEDED = ("query", "candidate", "score")
_SEPARATORS = (",", "\t", ";")

Row = tuple[str, Sequence[Any]]
"""What messages call a row, and its cells."""


@dataclass(frozen=True)
class Table:
    """A table of predictions.

    Attributes:
        scores: by query and candidate, in the order of the table.
        relevances: likewise; None where the table has no such column.
        repeated: rows that say again what an earlier row says; each is counted once.
    """

    scores: dict[str, dict[str, float]]
    relevances: dict[str, dict[str, float]] | None
    repeated: int


def read_predictions(path: Path) -> Table:
    """Return the scores of a table.

    Raises:
        TuningProblem: ``data_failed``: a file that cannot be read, without one of the columns or without rows, a cell that
            is empty or no number, a candidate that a query has twice with different values. The message names the row.
    """
    readers = {".csv": _csv, ".parquet": _parquet, ".xlsx": _xlsx}
    suffix = path.suffix.lower()
    if suffix not in readers:
        raise _problem(
            f"{path}: found a {suffix or 'nameless'} file, expected {', '.join(SUFFIXES)}; convert it, or give a TREC run "
            "as --run-file"
        )
    try:
        rows = readers[suffix](path)
        header = [str(name).strip() for name in next(rows)[1]]
        return _table(path, header, rows)
    except OSError as error:
        raise _problem(f"{path}: it cannot be read ({error.strerror or error}); correct the path") from error
    except StopIteration:
        raise _problem(f"{path}: found an empty table, expected a header and rows; write it again") from None


def _table(path: Path, header: Sequence[str], rows: Iterator[Row]) -> Table:
    places = _places(path, header)
    scores: dict[str, dict[str, float]] = {}
    relevances: dict[str, dict[str, float]] = {}
    names: dict[str, str] = {}
    repeated = 0
    for where, cells in rows:
        if all(cell is None or cell == "" for cell in cells):
            continue
        if len(cells) != len(header):
            raise _problem(
                f"{path}, {where}: found {len(cells)} cells, expected {len(header)} as in the header; put quotation marks "
                "around a text with the separator in it"
            )
        at = f"{path}, {where}"
        query = _name(cells[places["query"]], "query", at)
        candidate = _name(cells[places["candidate"]], "candidate", at)
        query, candidate = names.setdefault(query, query), names.setdefault(candidate, candidate)
        values = [_number(cells[places["score"]], "score", at)]
        if "relevance" in places:
            values.append(_number(cells[places["relevance"]], "relevance", at))
        of_query, judged = scores.setdefault(query, {}), relevances.setdefault(query, {})
        if candidate in of_query:
            before = [of_query[candidate], judged.get(candidate)][: len(values)]
            if before != values:
                raise _problem(
                    f"{at}: found candidate {candidate!r} of query {query!r} again with other values, expected it once; "
                    "drop one of the rows"
                )
            repeated += 1
            continue
        of_query[candidate] = values[0]
        if "relevance" in places:
            judged[candidate] = values[1]
    if not scores:
        raise _problem(f"{path}: found a header and no rows, expected a row for each candidate; add them")
    return Table(scores, relevances if "relevance" in places else None, repeated)


def _places(path: Path, header: Sequence[str]) -> dict[str, int]:
    """Return where the columns stand that are read."""
    words = [name.lower().replace("-", "_").replace(" ", "_") for name in header]
    places = {
        name: words.index(word)
        for name, known in _WORDS.items()
        for word in [next((one for one in known if one in words), None)]
        if word is not None
    }
    missing = [name for name in _NEEDED if name not in places]
    if missing:
        raise _problem(
            f"{path}: found no column {' and no column '.join(missing)} among {', '.join(header) or 'none'}, expected "
            f"{', '.join(_NEEDED)}, and relevance where no --qrels is given; rename them"
        )
    twice = [header[place] for name, place in places.items() if words.count(words[place]) > 1]
    if twice:
        raise _problem(
            f"{path}: found the column {twice[0]} twice, expected each once; rename one, or drop it"
        )
    return places


def _name(cell: Any, what: str, at: str) -> str:
    if isinstance(cell, datetime.date | datetime.time):
        raise _problem(
            f"{at}: found a date as {what}, expected a name; format the column as text, and write it again"
        )
    if isinstance(cell, float) and math.isfinite(cell) and cell.is_integer():
        cell = int(cell)  # a column of whole numbers with a gap
    is_gap = cell is None or (isinstance(cell, float) and math.isnan(cell))
    text = "" if is_gap else str(cell)
    if len(text) > 1 and text[0] == "'" and text[1] in FORMULA_SIGNS:
        text = text[1:]
    if not text.strip():
        raise _problem(f"{at}: found no {what}, expected its name; fill it, or drop the row")
    return text


def _number(cell: Any, what: str, at: str) -> float:
    if isinstance(cell, str):
        cell = float(cell) if NUMBER.fullmatch(cell.strip()) else cell or None
    if cell is None:
        raise _problem(f"{at}: found no {what}, expected a number; fill it, or drop the row")
    number = float(cell) if isinstance(cell, int | float) else math.nan
    if not math.isfinite(number):
        raise _problem(f"{at}: found a {what} of {str(cell)!r}, expected a finite number; see what wrote it")
    return number


# --- forms of files -----------------------------------------------------------------------------------------


def _csv(path: Path) -> Iterator[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            separator = max(_SEPARATORS, key=first.count)
            csv.field_size_limit(sys.maxsize)  # texts of documents are long, and nobody reads them here
            reader = csv.reader(file, delimiter=separator, strict=True)
            for row in reader:
                yield f"line {reader.line_num}", row
    except UnicodeDecodeError:
        raise _problem(f"{path}: found bytes that are not UTF-8, expected UTF-8; convert the file") from None
    except csv.Error:
        raise _problem(
            f"{path}, line {reader.line_num}: found text that is no table, expected a header, and rows separated by "
            "commas; see whether each quotation mark has its second one"
        ) from None


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow  # noqa: PLC0415  slow, and most runs read no table
    from pyarrow import parquet  # noqa: PLC0415

    try:
        table = parquet.ParquetFile(path)
        yield "header", table.schema_arrow.names
        number = 0
        for batch in table.iter_batches():
            columns = [column.to_pylist() for column in batch.columns]
            for cells in zip(*columns, strict=True):
                number += 1
                yield f"row {number}", cells
    except pyarrow.ArrowException as error:
        raise _problem(
            f"{path}: found no parquet file, or a damaged one, expected a whole one; write it again"
        ) from error


def _xlsx(path: Path) -> Iterator[Row]:
    from openpyxl import load_workbook  # noqa: PLC0415  most runs read no workbook
    from openpyxl.utils.exceptions import InvalidFileException  # noqa: PLC0415

    try:
        book = load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError) as error:
        raise _problem(
            f"{path}: found no workbook of Excel, or a damaged one, expected a whole one; write it again"
        ) from error
    try:
        if len(book.worksheets) != 1:
            raise _problem(
                f"{path}: found {len(book.worksheets)} sheets, expected one; keep the one with the predictions"
            )
        sheet = book.worksheets[0]
        width = 0
        for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
            if number == 1:
                width = max((place + 1 for place, cell in enumerate(cells) if cell is not None), default=0)
            # A row ends where its last cell is, and formatted cells may stand to the right of the table.
            kept = (*cells[:width], *([None] * (width - len(cells))))
            yield f"row {number}", kept if number > 1 else ["" if cell is None else cell for cell in kept]
    finally:
        book.close()


def _problem(message: str) -> TuningProblem:
    return TuningProblem("data_failed", message)
