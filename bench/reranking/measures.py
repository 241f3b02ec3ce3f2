"""What a ranking is worth: metrics with intervals, the gain over a random order, a row for each candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.core.errors import TuningProblem
from bench.core.estimate import Estimate
from bench.core.record import Score
from bench.core.registry import no_such
from bench.metrics import ranking
from bench.metrics.ranking import at_k
from bench.metrics.ranking.random_order import EXPECTATIONS, expected_values
from bench.metrics.ranking.trec import Flat, NegativeRule, flatten
from bench.report.export import Columns
from bench.reranking.asked import values_of
from bench.reranking.queries import DEFAULT_PRIMARY, QuerySet
from bench.reranking.record import QueryCounts, RankingGain
from bench.statistics.bootstrap import mean_intervals

METRICS = ("recall", "hit_rate", "mrr", "ndcg", "map")
NAMES = (*(f"{metric}@{k}" for metric in METRICS[:-1] for k in ranking.KS), "map")
"""What is always measured, by name; metrics that users register come after them."""
DEFAULT_TIES: ranking.TieRule = "pessimistic"
OVER = "random order"
NOTHING_TO_GAIN = "every order of the candidates has the same value, so no ranker can gain anything"
_ONE_QUERY = "one query says nothing of the scatter"
_ROUNDING = 1e-9

Run = dict[str, dict[str, float]]
Qrels = dict[str, dict[str, float]]
Floats = NDArray[np.float64]

SCORED = "scored"
NO_CANDIDATES, NO_RELEVANT, UNMATCHED = "no candidates", "no relevant document", "not in the qrels"
"""What a table says of a query: without candidates it counts as 0, the last two are not scored."""


@dataclass(frozen=True)
class Measured:
    """A ranking, measured.

    Attributes:
        flat: names, scores and relevances of all candidates.
        ranked: their order.
        scores: values query by query, and what was counted.
        values_by_query: values of all metrics, by name, each of shape (scored queries,).
        expected: of the primary metric in a random order, shape (scored queries,).
        unmatched: names of queries that have candidates and no judgement.
        primary: the metric that is the score.
        metrics: means over the queries, by name.
        score: the mean of the primary metric, with its standard error.
        gain: of the primary metric over a random order.
    """

    flat: Flat
    ranked: ranking.Ranked
    scores: ranking.RankingScores
    values_by_query: dict[str, Floats]
    expected: Floats
    unmatched: frozenset[str]
    primary: str
    metrics: dict[str, Estimate]
    score: Score
    gain: RankingGain

    @property
    def tie_rule(self) -> str:
        """Which of equal scores went first."""
        return self.scores.ties

    @property
    def queries(self) -> QueryCounts:
        """How many queries and candidates there are."""
        scores = self.scores
        return QueryCounts(
            total=scores.n_queries,
            scored=scores.n,
            without_relevant=scores.without_relevant,
            unmatched=len(self.unmatched),
            without_candidates=scores.without_candidates,
            candidates=scores.n_candidates,
            tied_candidates=scores.tied_candidates,
        )

    def values(self) -> dict[str, float]:
        """Return the metrics by name."""
        return {name: metric.value for name, metric in self.metrics.items() if metric.value is not None}

    def table(self, **constant: str) -> Columns:
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

    def query_table(self, *, base: Floats | None = None, **constant: str) -> Columns:
        """Return a row for each query, scored or not, with the values of all metrics.

        Args:
            base: the primary metric of another run, shape (scored queries,).
            constant: columns that come first.
        """
        ranked = self.ranked
        names, lengths, relevant = ranked.queries.tolist(), ranked.lengths, ranked.relevant_counts
        query_of = np.repeat(np.arange(len(names)), lengths)
        counts = {
            "candidates": lengths,
            "relevant": relevant,
            "relevant_candidates": np.bincount(query_of, ranked.gains > 0, len(names)).astype(np.int64),
            "tied_candidates": np.bincount(query_of, ranked.tied, len(names)).astype(np.int64),
        }
        states = [
            UNMATCHED if str(name) in self.unmatched
            else NO_RELEVANT if not of_query
            else SCORED if length
            else NO_CANDIDATES
            for name, of_query, length in zip(names, relevant, lengths, strict=True)
        ]  # fmt: skip
        values = {**self.values_by_query, f"{self.primary} in random order": self.expected}
        if base is not None:
            values[f"{self.primary} of the base run"] = base
        columns: dict[str, list[float | None]] = {}
        scored = np.flatnonzero(relevant)
        for name, of_scored in values.items():
            columns[name] = [None] * len(names)
            for place, value in zip(scored.tolist(), of_scored.tolist(), strict=True):
                columns[name][place] = value
        return {
            **{name: [value] * len(names) for name, value in constant.items()},
            "query": names,
            "state": states,
            **counts,
            **columns,
        }


def users_metrics() -> tuple[str, ...]:
    """Return the ranking metrics that were registered by files of users."""
    ours = [Path(at_k.__file__).parent]
    registry = ranking.RANKING_METRICS
    return tuple(name for name in registry if not registry.place(name).is_below(ours))


def metric_names() -> tuple[str, ...]:
    """Return the names of all that is measured; any of them can be required, or be the score."""
    return (*NAMES, *ranking.metric_names(users_metrics()))


def check_metric(name: str) -> str:
    """Return the name of a metric that can be the score: it is measured, and its value in a random order is known.

    Raises:
        TuningProblem: with the nearest names.
    """
    names = metric_names()
    if name not in names:
        raise TuningProblem(
            "data_failed",
            f"{no_such('reranking metric', name, names)}; k is one of {ranking.KS}; name one that is measured",
        )
    if name.partition("@")[0] not in EXPECTATIONS:
        raise TuningProblem(
            "data_failed",
            f"found the score {name}, expected a metric whose value in a random order is known; register that too, with "
            "EXPECTATIONS of bench.metrics.ranking.random_order, or name another metric as the score",
        )
    return name


def join(queries: QuerySet, scores: Sequence[ArrayLike]) -> tuple[Run, Qrels]:
    """Return the scores of a ranker and the relevances, each by the names of query and document.

    Args:
        queries: what was ranked.
        scores: of each query's candidates, in their order; shape (queries, *).

    Raises:
        TuningProblem: another number of scores than of candidates. The message names the query.
    """
    if len(scores) != len(queries):
        raise TuningProblem(
            "inference_failed",
            f"found scores of {len(scores)} queries, expected those of {len(queries)}; return one array for each query, an "
            "empty one where it has no candidates",
        )
    run: Run = {}
    qrels: Qrels = {}
    parts = zip(queries.ids, queries.documents, queries.relevances, scores, strict=True)
    for query, documents, relevances, of_query in parts:
        values = np.asarray(of_query)
        if values.shape != (len(documents),):
            raise TuningProblem(
                "inference_failed",
                f"found scores of shape {values.shape} for query {query!r}, expected ({len(documents)},); return one for "
                "each candidate, in its order",
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
    more: Sequence[str] = (),
    negative: NegativeRule = "refuse",
) -> Measured:
    """Rank the candidates and return all metrics, each with an interval over the queries, and the gain.

    Args:
        run: score of each document of each query.
        qrels: relevance of each judged document of each query, candidate or not.
        primary: the metric that is the score, and whose gain over a random order is taken.
        ties: which of equal scores goes first; see `bench.metrics.ranking`.
        seed: of the bootstrap.
        more: names of metrics to measure besides those of `metric_names`; with any, the primary one may be any too.
        negative: whether a negative relevance is refused or means 0.

    Raises:
        TuningProblem: an unknown metric, or data of which nothing can be ranked.
        ValueError: a score that is no finite number. The message names the query.
    """
    if primary not in more:
        check_metric(primary)
    try:
        flat = flatten(run, qrels, negative=negative)  # type: ignore[arg-type]  # relevances need not be whole numbers here
    except ValueError as error:
        raise TuningProblem("data_failed", str(error)) from error
    ranked = ranking.rank(**vars(flat), ties=ties)
    try:
        scores = ranking.evaluate(ranked, (*METRICS, *users_metrics()))
    except ValueError as error:  # nothing can be said of any query
        raise TuningProblem("data_failed", str(error)) from error
    own = [name for name in dict.fromkeys((*metric_names(), *more)) if name not in NAMES]
    values = {name: scores.values[name] for name in NAMES}
    values |= {name: scores.values[name] for name in own if name in scores.values}
    values |= values_of(ranked, [name for name in own if name not in values])
    expected = expected_values(ranked, primary)
    gains = values[primary] - expected
    nothing_to_gain = bool(np.abs(gains).max() <= _ROUNDING) and not _order_matters(ranked, primary)
    if nothing_to_gain:
        gains = np.zeros_like(gains)  # what is left of them is rounding
    # The others by themselves: the last digits of those that are always measured do not depend on how many there are.
    *metrics, gain = means_of(
        [*NAMES, primary], np.stack([*(values[name] for name in NAMES), gains], axis=1), seed
    )
    if own:
        metrics += means_of(own, np.stack([values[name] for name in own], axis=1), seed)
    by_name = {metric.metric: metric for metric in metrics}
    n = scores.n
    spread = float(values[primary].std(ddof=1)) / n**0.5 if n > 1 else None
    return Measured(
        flat,
        ranked,
        scores,
        values,
        expected,
        frozenset(run.keys() - qrels.keys()),
        primary,
        by_name,
        Score(**{**msgspec.structs.asdict(by_name[primary]), "stderr": spread}),
        RankingGain(
            **{**msgspec.structs.asdict(gain), "reason": NOTHING_TO_GAIN if nothing_to_gain else gain.reason},
            over=OVER,
            expected=float(np.mean(expected)),
        ),
    )


def means_of(names: Sequence[str], columns: Floats, seed: int) -> list[Estimate]:
    """Return the mean of each column over the queries, with its interval; shape (queries, metrics)."""
    n = len(columns)
    means = columns.mean(axis=0).tolist()
    if n == 1:
        return [
            Estimate(metric=name, value=value, n=n, reason=_ONE_QUERY)
            for name, value in zip(names, means, strict=True)
        ]
    ends = mean_intervals(columns, seed).tolist()
    return [
        Estimate(metric=name, value=value, low=low, high=high, n=n)
        for name, value, (low, high) in zip(names, means, ends, strict=True)
    ]


def _order_matters(ranked: ranking.Ranked, metric: str) -> bool:
    """Whether the best order of some query's candidates is worth more than the worst."""
    best, worst = (_ordered_by(ranked, sign, metric) for sign in (1.0, -1.0))
    return bool((best - worst).max() > _ROUNDING)


def _ordered_by(ranked: ranking.Ranked, sign: float, metric: str) -> Floats:
    reordered = ranking.rank(
        sign * ranked.gains,
        ranked.gains,
        offsets=ranked.offsets,
        relevant_counts=ranked.relevant_counts,
        missing_gains=ranked.missing_gains,
    )
    return values_of(reordered, [metric])[metric]
