"""What a ranking is worth: metrics with intervals, the gain over a random order, a row for each candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bench.core.errors import TuningProblem
from bench.core.evaluation import metric_record
from bench.core.registry import no_such
from bench.metrics import ranking
from bench.metrics.ranking.random_order import expected_values
from bench.metrics.ranking.trec import Flat, flatten
from bench.reranking.queries import DEFAULT_PRIMARY, QuerySet
from bench.statistics.bootstrap import mean_intervals

METRICS = ("recall", "hit_rate", "mrr", "ndcg", "map")
NAMES = (*(f"{metric}@{k}" for metric in METRICS[:-1] for k in ranking.KS), "map")
"""What is measured, by name; any of them can be the score."""
DEFAULT_TIES: ranking.TieRule = "pessimistic"
OVER = "random order"
_ONE_QUERY = "one query says nothing of the scatter"

Run = dict[str, dict[str, float]]
Qrels = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Measured:
    """A ranking, measured.

    Attributes:
        flat: names, scores and relevances of all candidates.
        ranked: their order.
        scores: values query by query, and what was counted.
        primary: the metric that is the score.
        record: the keys ``queries``, ``tie_rule``, ``score``, ``metrics`` and ``gain`` of a record.
    """

    flat: Flat
    ranked: ranking.Ranked
    scores: ranking.RankingScores
    primary: str
    record: dict[str, Any]

    def values(self) -> dict[str, float]:
        """Return the metrics by name."""
        return {name: metric["value"] for name, metric in self.record["metrics"].items()}

    def table(self, **constant: str) -> dict[str, Any]:
        """Return a row for each query and candidate in ranked order; `constant` columns come first."""
        order, ranks = self.ranked.order, self.ranked.ranks
        return {
            **{name: [value] * len(order) for name, value in constant.items()},
            "query": np.repeat(self.flat.queries, self.ranked.lengths)[order],
            "document": self.flat.documents[order],
            "score": self.flat.scores[order],
            "rank": ranks[order],
            "relevance": self.flat.relevances[order],
            "tied": self.ranked.tied,
        }


def check_metric(name: str) -> str:
    """Return the name of a metric that is measured.

    Raises:
        TuningProblem: with the nearest names.
    """
    if name not in NAMES:
        raise TuningProblem(
            "data_failed", f"{no_such('reranking metric', name, NAMES)}; k is one of {ranking.KS}"
        )
    return name


def join(queries: QuerySet, scores: Sequence[ArrayLike]) -> tuple[Run, Qrels]:
    """Return the scores of a ranker and the relevances, each by the names of query and document.

    Args:
        queries: what was ranked.
        scores: of each query's candidates, in their order; shape (queries, *).

    Raises:
        TuningProblem: when there are not as many scores as candidates. The message names the query.
    """
    if len(scores) != len(queries):
        raise TuningProblem(
            "inference_failed",
            f"found scores of {len(scores)} queries, expected those of {len(queries)}; a ranker returns one array for "
            "each query, an empty one where it has no candidates",
        )
    run: Run = {}
    qrels: Qrels = {}
    parts = zip(queries.ids, queries.documents, queries.relevances, scores, strict=True)
    for query, documents, relevances, of_query in parts:
        values = np.asarray(of_query)
        if values.shape != (len(documents),):
            raise TuningProblem(
                "inference_failed",
                f"found scores of shape {values.shape} for query {query!r}, expected ({len(documents)},), one for each "
                "candidate in its order",
            )
        run[query] = dict(zip(documents, values.tolist(), strict=True))
        qrels[query] = {**dict(zip(documents, relevances, strict=True)), **queries.missing.get(query, {})}
    return run, qrels


def measure(
    run: Mapping[str, Mapping[str, float]],
    qrels: Mapping[str, Mapping[str, float]],
    *,
    primary: str = DEFAULT_PRIMARY,
    ties: ranking.TieRule = DEFAULT_TIES,
    seed: int = 0,
) -> Measured:
    """Rank the candidates and return all metrics, each with an interval over the queries, and the gain.

    Args:
        run: score of each document of each query.
        qrels: relevance of each judged document of each query, candidate or not.
        primary: the metric that is the score, and whose gain over a random order is taken.
        ties: which of equal scores goes first; see `bench.metrics.ranking`.
        seed: of the bootstrap.

    Raises:
        TuningProblem: an unknown metric, or data of which nothing can be ranked.
        ValueError: a score that is no finite number. The message names the query.
    """
    check_metric(primary)
    try:
        flat = flatten(run, qrels)  # type: ignore[arg-type]  # relevances need not be whole numbers here
    except ValueError as error:
        raise TuningProblem("data_failed", str(error)) from error
    ranked = ranking.rank(**vars(flat), ties=ties)
    try:
        scores = ranking.evaluate(ranked, METRICS)
    except ValueError as error:  # of no query can anything be said
        raise TuningProblem("data_failed", str(error)) from error
    expected = expected_values(ranked, primary)
    return Measured(flat, ranked, scores, primary, _record(scores, expected, primary, seed))


def _record(scores: ranking.RankingScores, expected: Any, primary: str, seed: int) -> dict[str, Any]:
    n = scores.n
    columns = np.stack([*(scores.values[name] for name in NAMES), scores.values[primary] - expected], axis=1)
    means = columns.mean(axis=0).tolist()
    ends = mean_intervals(columns, seed).tolist() if n > 1 else [[None, None]] * columns.shape[1]
    reason = None if n > 1 else _ONE_QUERY
    metrics = {
        name: metric_record(value, low, high, n, reason)
        for name, value, (low, high) in zip(NAMES, means, ends, strict=False)
    }
    spread = float(scores.values[primary].std(ddof=1)) / n**0.5 if n > 1 else None
    shown = metrics[primary]
    return {
        "queries": {
            "total": scores.n_queries,
            "scored": n,
            "without_relevant": scores.without_relevant,
            "without_candidates": scores.without_candidates,
            "candidates": scores.n_candidates,
            "tied_candidates": scores.tied_candidates,
        },
        "tie_rule": scores.ties,
        "score": {
            "metric": primary, "value": shown["value"], "low": shown["low"], "high": shown["high"],
            "stderr": spread, "n": n, "unparsed": None, "required": None, "percent": False,
        },
        "metrics": metrics,
        "gain": {
            "metric": primary, "over": OVER, "value": means[-1], "low": ends[-1][0], "high": ends[-1][1],
            "percent": False, "expected": float(np.mean(expected)),
        },
    }  # fmt: skip
