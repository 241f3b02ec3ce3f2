"""Queries with ragged lists of candidates, frozen, checked once."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.core.errors import TuningProblem

DEFAULT_PRIMARY = "mrr@10"
_PARTS = ("queries", "candidates", "relevances", "documents")


@dataclass(frozen=True)
class QuerySet:
    """Queries, and for each its candidates in any order.

    Attributes:
        ids: names of the queries, texts without blanks, each once, shape (queries,).
        queries: what is asked: texts, or 8-bit images; shape (queries,).
        candidates: what can be returned, as many for each query as there are; shape (queries, *).
        relevances: gains of 0 or more, above 0 is relevant; shape (queries, *).
        documents: names of the candidates, texts without blanks, each once a query; shape (queries, *).
        missing: relevances of relevant documents that are no candidates, by query and document: no order can
            put them anywhere, and recall counts them.
        source: what the data are and where they are from, in words.
        facts: what they depend on besides, such as the version of an interpreter.
        primary: the metric that is the score.

    Raises:
        TuningProblem: when parts are of different length, a name is missing, has a blank or is there twice, or a
            relevance is negative or no number. The message names the query.
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
            raise _problem(f"found {lengths}, expected one of each for each query, and at least one query")
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
                if not (math.isfinite(relevance) and relevance >= 0):
                    raise _problem(
                        f"found a relevance of {relevance} in query {query!r}, expected a finite one of 0 or more"
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
    """Return the queries of a JSONL file, a line a query: ``query``, ``candidates``, ``relevances``, and ``id`` and
    ``documents`` where they have names.

    Raises:
        OSError: the file cannot be read.
        TuningProblem: a line without one of these, and as for `QuerySet`. The message names file and line.
    """
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            rows.append((row["query"], row["candidates"], row["relevances"], row))
        except (ValueError, KeyError, TypeError) as error:
            raise _problem(
                f"{path}, line {number}: {type(error).__name__}: {error}; expected an object with query, candidates and "
                "relevances"
            ) from error
    try:
        return QuerySet(
            tuple(str(row.get("id", f"query-{place}")) for place, (*_, row) in enumerate(rows)),
            [query for query, *_ in rows],
            [candidates for _, candidates, *_ in rows],
            [relevances for _, _, relevances, _ in rows],
            [
                row.get("documents", [f"candidate-{place}" for place in range(len(candidates))])
                for _, candidates, _, row in rows
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
                f"found the {what} {name!r} in {where}, expected a text without blanks, which separate columns in "
                "TREC files; write blanks as underscores"
            )
    if len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise _problem(f"found the {what} {twice!r} twice in {where}, expected it once; drop one")


def _problem(message: str) -> TuningProblem:
    return TuningProblem("data_failed", message)
