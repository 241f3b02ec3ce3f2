"""Queries with ragged lists of candidates, frozen, checked once."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Any

from bench.core import files
from bench.core.errors import TuningProblem

DEFAULT_PRIMARY = "mrr@10"
_COLUMNS = ("query", "candidates", "relevances")
_PARTS = ("queries", "candidates", "relevances", "documents")


@dataclass(frozen=True)
class QuerySet:
    """Queries, and for each its candidates in any order.

    Attributes:
        ids: names of the queries, distinct texts without blanks, shape (queries,).
        queries: what is asked: texts, or 8-bit images; shape (queries,).
        candidates: what can be returned, as many for each query as there are; shape (queries, *).
        relevances: gains of 0 or more, above 0 is relevant; shape (queries, *).
        documents: names of the candidates, texts without blanks, distinct in a query; shape (queries, *).
        missing: relevances of relevant documents that are no candidates, by query and document: no order can
            contain them, and recall counts them.
        source: what the data are and where they are from, in words.
        facts: what else they depend on, such as the version of an interpreter.
        primary: the metric that is the score.

    Raises:
        TuningProblem: parts of different length, a name that is missing, has a blank or is repeated, or a relevance that
            is negative or no number. The message names the query.
    """

    ids: tuple[str, ...]
    queries: Sequence[Any]
    candidates: Sequence[Sequence[Any]]
    relevances: Sequence[Sequence[float]]
    documents: Sequence[Sequence[str]]
    missing: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    source: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    primary: str = DEFAULT_PRIMARY

    def __post_init__(self) -> None:
        """Refuse what no ranking can be computed of."""
        lengths = {name: len(getattr(self, name)) for name in ("ids", *_PARTS)}
        if len(set(lengths.values())) > 1 or not self.ids:
            raise _problem(
                f"found {lengths}, expected one of each for each query, and at least one query; give as many of each"
            )
        _check_names(self.ids, "query", "the set")
        for query, *parts in zip(self.ids, self.candidates, self.relevances, self.documents, strict=True):
            sizes = [len(part) for part in parts]
            if len(set(sizes)) > 1:
                raise _problem(
                    f"found {sizes[0]} candidates, {sizes[1]} relevances and {sizes[2]} documents in query {query!r}, "
                    "expected as many of each; join them by the names of the documents"
                )
            _check_names(parts[2], "document", f"query {query!r}")
            for relevance in parts[1]:
                if not isinstance(relevance, Real) or not math.isfinite(relevance) or float(relevance) < 0:
                    raise _problem(
                        f"found a relevance of {relevance!r} in query {query!r}, expected a finite number of 0 or more; "
                        "correct it"
                    )

    def __len__(self) -> int:
        """Return how many queries there are."""
        return len(self.ids)

    @cached_property
    def data_hash(self) -> str:
        """SHA-256 of all there is: names, contents and relevances; other data have another one."""
        digest = hashlib.sha256()
        for query, asked, *parts in zip(
            self.ids, self.queries, *(getattr(self, name) for name in _PARTS[1:]), strict=True
        ):
            digest.update(repr((query, len(parts[0]))).encode())
            _feed(digest, asked)
            for candidate, relevance, document in zip(*parts, strict=True):
                digest.update(repr((document, float(relevance))).encode())
                _feed(digest, candidate)
            digest.update(repr(sorted(self.missing.get(query, {}).items())).encode())
        return digest.hexdigest()


def read_jsonl(path: Path) -> QuerySet:
    """Return the queries of a JSON lines file.

    A line is a query: ``query``, ``candidates``, ``relevances``, and where they have names ``id`` and ``documents``.

    Raises:
        TuningProblem: ``data_failed``: a file that cannot be read, a line without one of these, and as for `QuerySet`. The
            message names file and line.
    """
    rows = []
    for number, row in files.read_jsonl(path, _problem):
        missing = [name for name in _COLUMNS if name not in row]
        lists = [name for name in (*_COLUMNS[1:], "documents") if not isinstance(row.get(name, []), list)]
        if missing or lists:
            found = f"no {', '.join(missing)}" if missing else f"no list in {', '.join(lists)}"
            raise _problem(
                f"{path}, line {number}: found {found}, expected an object with query, candidates and relevances, the last "
                "two lists of the same length; correct the line"
            )
        rows.append(row)
    try:
        return QuerySet(
            tuple(str(row.get("id", f"query-{place}")) for place, row in enumerate(rows)),
            [row["query"] for row in rows],
            [row["candidates"] for row in rows],
            [row["relevances"] for row in rows],
            [
                row.get("documents", [f"candidate-{place}" for place in range(len(row["candidates"]))])
                for row in rows
            ],
            source=path.name,
        )
    except TuningProblem as problem:
        raise _problem(f"{path}: {problem}") from problem


def _feed(digest: Any, content: Any) -> None:
    if hasattr(content, "tobytes"):
        digest.update(repr((content.shape, content.dtype.str)).encode())
        digest.update(content.tobytes())
    else:
        digest.update(repr(content).encode())


def _check_names(names: Sequence[str], what: str, where: str) -> None:
    for name in names:
        if not isinstance(name, str) or not name or any(letter.isspace() for letter in name):
            raise _problem(
                f"found the {what} {name!r} in {where}, expected a text without blanks, which separate columns in TREC "
                "files; write underscores"
            )
    if len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise _problem(f"found the {what} {twice!r} twice in {where}, expected it once; drop or rename one")


def _problem(message: str) -> TuningProblem:
    return TuningProblem("data_failed", message)
