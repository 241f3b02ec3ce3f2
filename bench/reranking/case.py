"""The case of a ranker on a query set. Importing this module imports no framework."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from bench.core.case import Case
from bench.core.record import Record, Score
from bench.reranking.record import RerankingBody


@dataclass(frozen=True, slots=True)
class RerankingCase(Case):
    """A ranker on queries with candidates: how near the top does it put what is relevant?

    Attributes:
        id: ``ranker-dataset``; that of a control begins with ``control-``.
        ranker: name of the registered ranker, or of the user's run or table.
        dataset: name of the registered query set, or of the user's qrels, or of a table that has its own.
        run_file, predictions: a TREC run or a table of the user, which takes the place of ranker and set; at most one.
        qrels: the user's relevances for it; a table may have its own.
        base_run: a run over which its gain is measured.
        asked: names in records of the metrics that ``--rank-metrics`` and ``--require`` ask for, by how they were written.
        primary: the one that is the score; None leaves it to the query set.
        min_score: score that must be reached; None is not gated.
        cost: seconds on one core, over a hundred: less than any acceleration case.
    """

    kind: ClassVar[str] = "reranking"

    ranker: str
    dataset: str
    run_file: Path | None = field(default=None, kw_only=True)
    predictions: Path | None = field(default=None, kw_only=True)
    qrels: Path | None = field(default=None, kw_only=True)
    base_run: Path | None = field(default=None, kw_only=True)
    asked: tuple[tuple[str, str], ...] = field(default=(), kw_only=True)
    primary: str | None = field(default=None, kw_only=True)
    min_score: float | None = field(default=None, kw_only=True)
    cost: float = field(default=0.1, kw_only=True)

    @property
    def names(self) -> tuple[str, ...]:
        """Id, set, and ranker with set."""
        return self.id, self.dataset, f"{self.ranker}/{self.dataset}"

    @property
    def shares(self) -> str:
        """The ranker."""
        return self.ranker

    def body(self) -> RerankingBody:
        """Return the keys of a reranking record."""
        return RerankingBody(ranker=self.ranker, dataset=self.dataset)

    def blank(self) -> Record:
        """Return the record before anything is known, but for the required score."""
        record = Case.blank(self)
        record.score = Score(required=self.min_score)
        return record
