"""What the record of a reranking case holds besides the common keys."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from bench.core.record import Body, Gain


class QueryCounts(msgspec.Struct, kw_only=True):
    """How many queries and candidates there are, and how many of them are special.

    Attributes:
        total: queries.
        scored: queries behind every mean.
        without_relevant: queries without a relevant document, which are not scored.
        unmatched: those of them that have candidates and match nothing: the qrels do not name them.
        without_candidates: queries without a candidate; with a relevant document they count as 0.
        candidates: of all queries.
        tied_candidates: candidates that share their score with another one of their query.
    """

    total: int
    scored: int
    without_relevant: int
    without_candidates: int
    candidates: int
    tied_candidates: int
    unmatched: int = 0

    @property
    def remarks(self) -> str:
        """What a reader must know of the queries, in a few words; empty where all of them were scored."""
        parts = []
        if self.without_relevant:
            unmatched = f", {self.unmatched} of them not in the qrels" if self.unmatched else ""
            parts.append(f"{self.without_relevant} without a relevant document (not scored{unmatched})")
        if self.without_candidates:
            parts.append(f"{self.without_candidates} without candidates (0 where something is relevant)")
        return ", ".join(parts)


class RankingGain(Gain, frozen=True, kw_only=True):
    """By how much a metric is above its expectation in a random order.

    Attributes:
        expected: mean of the expectations of the scored queries; of a gain over another run, its mean.
    """

    expected: float


class RerankingBody(Body, kw_only=True):
    """The keys that only reranking records have.

    Attributes:
        ranker, dataset: registered names, or those of the user's TREC files.
        queries: None until something was ranked.
        tie_rule: which of equal scores goes first.
        base: gain of the score over that of the first-stage run, paired query by query; None without `--base-run`.
        negative_grades: grades under 0 that were taken for not relevant.
    """

    gain_type: ClassVar[type[Gain]] = RankingGain

    ranker: str
    dataset: str
    queries: QueryCounts | None = None
    tie_rule: str | None = None
    base: RankingGain | None = None
    negative_grades: int | None = None
