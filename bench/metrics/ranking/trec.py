"""TREC run and qrels files: what a system returned, and what is relevant.

A run has a line for each candidate, ``query Q0 document rank score tag``; a qrels file has a line for each
judgement, ``query 0 document relevance``. Blanks separate columns. As in trec_eval, scores decide the order;
the second column and the rank of a run are ignored. `bench.metrics.ranking.trec_read` says what else is read.

    flat = flatten(read_run("model.run"), read_qrels("test.qrels"))
    ranking.evaluate(ranking.rank(**vars(flat), ties="docid_desc")).means()

Formats: https://github.com/usnistgov/trec_eval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.metrics.ranking.trec_read import _BLANKS, FilePath, read_qrels_file, read_run_file

Run = dict[str, dict[str, float]]
"""Score of each document of each query."""
Qrels = dict[str, dict[str, int]]
"""Relevance of each judged document of each query."""
NegativeRule = Literal["refuse", "zero"]
"""Whether a negative relevance is refused, or means what 0 means, as in trec_eval."""


# --- reading ------------------------------------------------------------------------------------------------


def read_run(path: FilePath) -> Run:
    """Return the scores of a run, queries and documents in the order of the file.

    Errors are those of `bench.metrics.ranking.trec_read.read_run_file`.
    """
    return read_run_file(path).values


def read_qrels(path: FilePath) -> Qrels:
    """Return the relevances of a qrels file, in the order of the file. A relevance may be negative; `flatten` decides.

    Errors are those of `bench.metrics.ranking.trec_read.read_qrels_file`.
    """
    return read_qrels_file(path).values


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
    queries: NDArray[np.object_]
    documents: NDArray[np.object_]
    relevant_counts: NDArray[np.int64]
    missing_gains: NDArray[np.float64]


def flatten(
    run: Mapping[str, Mapping[str, float]],
    qrels: Mapping[str, Mapping[str, int]],
    *,
    negative: NegativeRule = "refuse",
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
        np.array(queries, object),
        np.array(documents, object),
        np.array(counts, np.int64),
        np.array(missing, np.float64),
    )


def _some(names: Mapping[str, Any]) -> str:
    return ", ".join(repr(name) for name in list(names)[:3]) or "none"
