"""Ranking metrics: `rank` orders candidates, `evaluate` reads every metric off the order; TREC files; the random order."""

from bench.metrics.ranking.at_k import (
    DEFAULT_METRICS,
    KS,
    RANKING_METRICS,
    Hits,
    RankingScores,
    Treatment,
    evaluate,
)
from bench.metrics.ranking.order import Ranked, TieRule, rank, rank_2d

__all__ = [
    "DEFAULT_METRICS",
    "KS",
    "RANKING_METRICS",
    "Hits",
    "Ranked",
    "RankingScores",
    "TieRule",
    "Treatment",
    "evaluate",
    "rank",
    "rank_2d",
]
