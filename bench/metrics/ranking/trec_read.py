"""Reads run and qrels files: TREC's columns, and BEIR's tables with a header.

| file | a line | separated by |
| --- | --- | --- |
| run | ``query Q0 document rank score tag`` | blanks |
| qrels | ``query 0 document relevance`` | blanks |
| either, with a header that names its columns | ``query-id corpus-id score`` | tabs if the header has one |
| qrels without a header | ``query document relevance`` | tabs if the first line has one |

Files compressed by gzip are read as they are. Formats: https://github.com/usnistgov/trec_eval and
https://github.com/beir-cellar/beir.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Generic, TypeVar

FilePath = str | PathLike[str]
Value = TypeVar("Value", int, float)

_QUERY, _DOCUMENT = "query", "document"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
"""A number as files write it: digits of ASCII, no underscores, not nan and not inf."""
# trec_eval separates columns at these and no others, such as the no-break space.
_BLANKS = " \t\n\r\v\f"
_MARK = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_OTHER_COMPRESSION = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip"}
_HEADERS = {
    _QUERY: {"query", "query-id", "qid", "topic", "topic-id"},
    _DOCUMENT: {
        "corpus-id",
        "doc",
        "doc-id",
        "docid",
        "docno",
        "document",
        "document-id",
        "candidate",
        "pid",
    },
    "value": {"score", "relevance", "rel", "grade", "label"},
}


@dataclass(frozen=True)
class Read(Generic[Value]):
    """What a file holds.

    Attributes:
        values: by query and document, in the order of the file.
        repeated: lines that say again what an earlier line says; each is counted once.
    """

    values: dict[str, dict[str, Value]]
    repeated: int


@dataclass(frozen=True)
class _Form:
    """What a line of a sort of file is.

    Attributes:
        columns: of TREC.
        value: the one that is kept.
        convert: makes its value of a text; raises ValueError with what was found.
        short: whether three columns without a header are query, document and value.
    """

    columns: tuple[str, ...]
    value: str
    convert: Callable[[str], float]
    short: bool


def read_run_file(path: FilePath) -> Read[float]:
    """Return the scores of a run; blank lines are skipped.

    Raises:
        OSError: the file cannot be read.
        ValueError: no line, a line with other columns, a score that is no finite number, a document that a query has
            twice with different scores, text that is not UTF-8. The message names file and line.
    """
    return _read(Path(path), _RUN)


def read_qrels_file(path: FilePath) -> Read[int]:
    """Return the relevances of a qrels file; blank lines are skipped.

    A relevance is a whole number, also written as ``1.0``. It may be negative, as in some collections for what is spam or
    was not judged.

    Raises:
        OSError: the file cannot be read.
        ValueError: as for `read_run_file`.
    """
    return _read(Path(path), _QRELS)


def _read(path: Path, form: _Form) -> Read[Value]:
    values: dict[str, dict[str, Value]] = {}
    names: dict[str, str] = {}  # a document of many queries is one text
    repeated = 0
    for number, query, named, text in _rows(path, form):
        try:
            value: Value = form.convert(text)  # type: ignore[assignment]  # a form goes with its type
        except ValueError as problem:
            raise ValueError(f"{path}, line {number}: {problem}") from None
        of_query = values.setdefault(query, {})
        document = names.setdefault(named, named)
        if document not in of_query:
            of_query[document] = value
        elif of_query[document] == value:
            repeated += 1
        else:
            raise ValueError(
                f"{path}, line {number}: found document {document!r} of query {query!r} again, after line "
                f"{_first_line(path, form, query, document)}, with a {form.value} of {value:g} and not "
                f"{of_query[document]:g}, expected it once; drop one of the lines"
            )
    if not values:
        raise ValueError(
            f"{path}: found no lines, expected lines of {' '.join(form.columns)}; write it again, or name another file"
        )
    return Read(values, repeated)


def _first_line(path: Path, form: _Form, query: str, document: str) -> int:
    """Return the number of the line that names a document of a query first."""
    rows = ((number, row[:2]) for number, *row in _rows(path, form))
    return next(number for number, names in rows if names == [query, document])


def _rows(path: Path, form: _Form) -> Iterator[tuple[int, str, str, str]]:
    """Yield number, query, document and value of each line that is not blank, holding one at a time."""
    places: tuple[int, ...] | None = None
    count, separator = 0, None
    for number, line in _lines(path):
        fields = line.split() if separator is None else [part.strip() for part in line.split(separator)]
        if not any(fields):
            continue
        if places is None:
            tabs = [part.strip() for part in line.split(b"\t")]
            header = _header(tabs if len(tabs) > 1 else fields)
            if header is not None:
                places, count = header, len(header)
                separator = b"\t" if len(tabs) > 1 else None
                continue
            places = tuple(form.columns.index(name) for name in (_QUERY, _DOCUMENT, form.value))
            count = len(form.columns)
            for short in (tabs, fields):
                if form.short and len(short) == len(places):
                    places, count, separator = (0, 1, 2), len(places), b"\t" if short is tabs else None
                    fields = short
                    break
        if len(fields) != count or not all(fields):
            raise ValueError(f"{path}, line {number}: {_columns_found(fields, count, form)}")
        try:
            query, document, value = (fields[place].decode() for place in places)
        except UnicodeDecodeError as problem:
            raise ValueError(
                f"{path}, line {number}: found bytes that are not UTF-8 ({problem.reason}), expected "
                "UTF-8; convert the file"
            ) from None
        yield number, query, document, value


def _columns_found(fields: list[bytes], count: int, form: _Form) -> str:
    wanted = " ".join(form.columns) if count == len(form.columns) else f"{_QUERY} {_DOCUMENT} {form.value}"
    advice = "see whether this is the right file"
    if not all(fields):
        return (
            f"found an empty column, expected a value in each of {count}: {wanted}; fill it, or drop the line"
        )
    if len(fields) > count and not (form is _QRELS and len(fields) == len(_RUN.columns)):
        advice = "names and tags have no blanks in TREC files; write them with underscores"
    elif count == len(_RUN.columns) and len(fields) == len(_HEADERS):
        advice = (
            "a table of three columns needs a header, query-id corpus-id score: the third could be a rank"
        )
    elif len(fields) == 1 and b"," in fields[0]:
        advice = "a table with commas is read where its name ends in .csv"
    return f"found {len(fields)} columns, expected {count}: {wanted}; {advice}"


def _header(fields: list[bytes]) -> tuple[int, ...] | None:
    """Return where query, document and value stand, if this line names them."""
    words = [field.decode(errors="replace").lower().replace("_", "-") for field in fields]
    places = [[place for place, word in enumerate(words) if word in known] for known in _HEADERS.values()]
    if len(words) != len(_HEADERS) or any(len(found) != 1 for found in places):
        return None
    return tuple(found[0] for found in places)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the number, from 1, and the bytes of each line, of a file compressed by gzip too."""
    with path.open("rb") as file:
        head = file.read(8)
        file.seek(0)
        for sign, name in _OTHER_COMPRESSION.items():
            if head.startswith(sign):
                raise ValueError(
                    f"{path}: found a file compressed by {name}, expected text, or text compressed by gzip; decompress it"
                )
        opened: Iterable[bytes] = gzip.GzipFile(fileobj=file) if head.startswith(_GZIP) else file
        number = 0
        try:
            for number, line in enumerate(opened, start=1):
                # A byte order mark would become part of the first query's name.
                yield number, line.removeprefix(_MARK) if number == 1 else line
        except (EOFError, gzip.BadGzipFile, zlib.error):
            raise ValueError(
                f"{path}, after line {number}: found a gzip file that is damaged or cut short, expected a whole one; copy "
                "it again"
            ) from None


def _score(text: str) -> float:
    score = float(text) if NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(score):
        raise ValueError(f"found a score of {text!r}, expected a finite number; see what the model gave")
    return score


def _relevance(text: str) -> int:
    value = float(text) if NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value) or value != int(value):
        raise ValueError(
            f"found a relevance of {text!r}, expected a whole number; correct it, or round grades"
        )
    return int(value)


_RUN = _Form(("query", "Q0", "document", "rank", "score", "tag"), "score", _score, short=False)
_QRELS = _Form(("query", "iteration", "document", "relevance"), "relevance", _relevance, short=True)
