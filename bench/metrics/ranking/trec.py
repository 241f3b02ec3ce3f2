"""TREC run and qrels files: what a system returned, and what is relevant.

A run has a line for each candidate, ``query Q0 document rank score tag``; a qrels file has a line for each
judgement, ``query 0 document relevance``. Blanks separate columns. As in trec_eval, scores decide the order;
the second column and the rank of a run are ignored.

    flat = flatten(read_run("model.run"), read_qrels("test.qrels"))
    ranking.evaluate(ranking.rank(**vars(flat), ties="docid_desc")).means()

Formats: https://github.com/usnistgov/trec_eval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Run = dict[str, dict[str, float]]
"""Score of each document of each query."""
Qrels = dict[str, dict[str, int]]
"""Relevance of each judged document of each query."""
FilePath = str | PathLike[str]
Value = TypeVar("Value", int, float)

_RUN_COLUMNS = ("query", "Q0", "document", "rank", "score", "tag")
_QRELS_COLUMNS = ("query", "iteration", "document", "relevance")
# trec_eval separates columns at these and no others, such as the no-break space.
_BLANKS = " \t\n\r\v\f"


# --- reading ------------------------------------------------------------------------------------------------


def read_run(path: FilePath) -> Run:
    """Return the scores of a run, queries and documents in the order of the file; blank lines are skipped.

    Raises:
        OSError: the file cannot be read.
        ValueError: no line, a line without six columns, a score that is no finite number, a document that a
            query has twice, text that is not UTF-8. The message names file and line.
    """
    return _read(Path(path), _RUN_COLUMNS, "score", _score)


def read_qrels(path: FilePath) -> Qrels:
    """Return the relevances of a qrels file, in the order of the file; blank lines are skipped.

    A relevance may be negative, as in some collections for what is spam or was not judged; `flatten` decides.

    Raises:
        OSError: the file cannot be read.
        ValueError: as for `read_run`, with four columns and a whole number for a relevance.
    """
    return _read(Path(path), _QRELS_COLUMNS, "relevance", _relevance)


def _read(
    path: Path, columns: tuple[str, ...], value_column: str, convert: Callable[[str], Value]
) -> dict[str, dict[str, Value]]:
    column = columns.index(value_column)
    values: dict[str, dict[str, Value]] = {}
    for number, row in _rows(path, columns):
        query, document = row[0], row[2]
        try:
            value = convert(row[column])
        except ValueError as problem:
            raise ValueError(f"{path}, line {number}: {problem}") from None
        of_query = values.setdefault(query, {})
        if document in of_query:
            raise ValueError(
                f"{path}, line {number}: found document {document!r} of query {query!r} again, after line "
                f"{_first_line(path, columns, query, document)}, expected it once; drop one of the lines"
            )
        of_query[document] = value
    if not values:
        raise ValueError(f"{path}: found no lines, expected lines of {' '.join(columns)}")
    return values


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    """Yield the number, from 1, and the columns of each line that is not blank, holding one at a time."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                # A byte order mark would become part of the first query's name.
                fields = [
                    field.decode()
                    for field in line.removeprefix(b"\xef\xbb\xbf" if number == 1 else b"").split()
                ]
            except UnicodeDecodeError as problem:
                raise ValueError(
                    f"{path}, line {number}: found bytes that are not UTF-8 ({problem.reason}), expected "
                    "UTF-8; convert the file"
                ) from None
            if not fields:
                continue
            if len(fields) != len(columns):
                raise ValueError(
                    f"{path}, line {number}: found {len(fields)} columns, expected {len(columns)}: "
                    f"{' '.join(columns)}; see whether this is the right file"
                )
            yield number, fields


def _first_line(path: Path, columns: tuple[str, ...], query: str, document: str) -> int:
    """Return the number of the line that names a document of a query first."""
    return next(number for number, row in _rows(path, columns) if (row[0], row[2]) == (query, document))


def _score(text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise ValueError(f"found a score of {text!r}, expected a finite number; see what the model gave")
    return score


def _relevance(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"found a relevance of {text!r}, expected a whole number") from None


# --- writing ------------------------------------------------------------------------------------------------


def write_run(path: FilePath, run: Mapping[str, Mapping[str, float]], tag: str = "modelgate") -> None:
    """Write a run, best first, with ranks from 1; equal scores go by descending document id, as in trec_eval.

    Scores are written so that `read_run` gives the same numbers.

    Args:
        path: an existing file is replaced.
        run: score of each document of each query.
        tag: name of the system, the last column.

    Raises:
        OSError: the file cannot be written.
        ValueError: nothing to write, a score that is not finite, a name that is no text, or empty, or has
            blanks. Nothing is written then.
    """
    _check_names(run, tag)
    for query, scores in run.items():
        for document, score in scores.items():
            if not math.isfinite(score):
                raise ValueError(
                    f"found a score of {score:g} for document {document!r} of query {query!r}, expected a "
                    "finite one; see what the model gave"
                )
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        for query, scores in run.items():
            best_first = sorted(((score, document) for document, score in scores.items()), reverse=True)
            file.writelines(
                f"{query} Q0 {document} {place} {float(score)!r} {tag}\n"
                for place, (score, document) in enumerate(best_first, start=1)
            )


def write_qrels(path: FilePath, qrels: Mapping[str, Mapping[str, int]]) -> None:
    """Write the relevances of documents.

    Args:
        path: an existing file is replaced.
        qrels: relevance of each judged document of each query, whole numbers.

    Raises:
        OSError: the file cannot be written.
        ValueError: nothing to write, a relevance that is no whole number, a name that is no text, or empty,
            or has blanks. Nothing is written then.
    """
    _check_names(qrels)
    for query, relevances in qrels.items():
        for document, relevance in relevances.items():
            if isinstance(relevance, bool) or not isinstance(relevance, int | np.integer):
                raise ValueError(
                    f"found a relevance of {relevance!r} for document {document!r} of query {query!r}, "
                    "expected a whole number"
                )
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        for query, relevances in qrels.items():
            file.writelines(
                f"{query} 0 {document} {relevance}\n" for document, relevance in relevances.items()
            )


def _check_names(rows: Mapping[str, Mapping[str, Any]], tag: str = "tag") -> None:
    if not any(rows.values()):
        raise ValueError("found nothing to write, expected at least one document of one query")
    _check_name(tag, "tag")
    for query, documents in rows.items():
        _check_name(query, "query")
        for document in documents:
            _check_name(document, f"document of query {query!r}")


def _check_name(name: Any, what: str) -> None:
    if not isinstance(name, str) or not name or any(blank in name for blank in _BLANKS):
        raise ValueError(
            f"found the {what} {name!r}, expected a text without blanks, which separate columns in TREC "
            "files; write blanks as underscores"
        )


# --- conversion ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Flat:
    """Candidates of all queries in a row, as `bench.metrics.ranking.rank` takes them: ``rank(**vars(flat))``.

    Attributes:
        scores: shape (candidates,).
        relevances: 0 for a document that was not judged, shape (candidates,).
        offsets: list i is rows ``offsets[i]:offsets[i + 1]``, shape (queries + 1,).
        queries: names, shape (queries,): those of the qrels, then those that only the run has.
        documents: ids, shape (candidates,).
        relevant_counts: relevant documents of each query, in the run or not, shape (queries,).
        missing_gains: relevances of the relevant documents that are not in the run, query after query.
    """

    scores: NDArray[np.float64]
    relevances: NDArray[np.float64]
    offsets: NDArray[np.int64]
    queries: NDArray[np.str_]
    documents: NDArray[np.str_]
    relevant_counts: NDArray[np.int64]
    missing_gains: NDArray[np.float64]


def flatten(
    run: Mapping[str, Mapping[str, float]],
    qrels: Mapping[str, Mapping[str, int]],
    *,
    negative: Literal["refuse", "zero"] = "refuse",
) -> Flat:
    """Return a run and its judgements in flat form.

    A query that only the qrels have has no candidates, and one that only the run has has no relevant items.
    `bench.metrics.ranking.evaluate` counts both and decides how they are scored.

    Args:
        run: score of each document of each query.
        qrels: relevance of each judged document of each query.
        negative: "zero" takes a negative relevance for 0, as trec_eval does.

    Raises:
        ValueError: an empty run, no query in both, a negative relevance that is refused.

    Example:
        >>> flat = flatten({"q1": {"d1": 0.9, "d2": 0.4}}, {"q1": {"d2": 1, "d7": 2}})
        >>> flat.relevances.tolist(), flat.relevant_counts.tolist(), flat.missing_gains.tolist()
        ([0.0, 1.0], [2], [2.0])
    """
    if not run.keys() & qrels.keys():
        raise ValueError(
            f"found no query of the run ({_some(run)}) in the qrels ({_some(qrels)}), expected the same "
            "names in both; see whether the files belong together"
        )
    for query, judged in qrels.items():
        for document, relevance in judged.items():
            if relevance < 0 and negative == "refuse":
                raise ValueError(
                    f"found a relevance of {relevance} for document {document!r} of query {query!r}, "
                    "expected 0 or more; give negative='zero' where it marks what is not relevant"
                )
    queries = list(dict.fromkeys([*qrels, *run]))
    scores: list[float] = []
    relevances: list[float] = []
    documents: list[str] = []
    lengths, counts, missing = [], [], []
    for query in queries:
        returned, judged = run.get(query, {}), qrels.get(query, {})
        documents += returned
        scores += returned.values()
        relevances += [max(judged.get(document, 0), 0) for document in returned]
        lengths.append(len(returned))
        counts.append(sum(relevance > 0 for relevance in judged.values()))
        missing += [gain for document, gain in judged.items() if gain > 0 and document not in returned]
    return Flat(
        np.array(scores, np.float64),
        np.array(relevances, np.float64),
        np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        np.array(queries, np.str_),
        np.array(documents, np.str_),
        np.array(counts, np.int64),
        np.array(missing, np.float64),
    )


def _some(names: Mapping[str, Any]) -> str:
    return ", ".join(repr(name) for name in list(names)[:3]) or "none"
