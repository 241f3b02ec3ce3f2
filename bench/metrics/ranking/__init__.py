"""Ranking metrics: `rank` orders candidates, `evaluate` reads every metric off the order."""

from bench.metrics.ranking.at_k import (
    DEFAULT_METRICS,
    KS,
    RankingScores,
    Treatment,
    evaluate,
    metric_names,
)
from bench.metrics.ranking.metric import RANKING_METRICS, Hits, RankingMetric, RankingMetrics
from bench.metrics.ranking.order import Ranked, rank, rank_2d
from bench.metrics.ties import TieRule

__all__ = [
    "DEFAULT_METRICS",
    "KS",
    "RANKING_METRICS",
    "Hits",
    "Ranked",
    "RankingMetric",
    "RankingMetrics",
    "RankingScores",
    "TieRule",
    "Treatment",
    "evaluate",
    "metric_names",
    "rank",
    "rank_2d",
]
