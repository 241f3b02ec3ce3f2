"""The exact expected value of a ranking metric in a random order: the trivial predictor of a ranking.

    ranked = ranking.rank(scores, relevances, offsets=offsets)
    gain = ranking.evaluate(ranked).values["mrr@10"] - expected_values(ranked, "mrr@10")

Every order of a query's candidates is equally likely. With n candidates, of which r are relevant, the item at
any rank is relevant with probability r / n; the rest is counting. Nothing is drawn at random.

A metric that users register needs a value here only if it is to be the score, whose gain over a random order
is judged::

    @EXPECTATIONS.register("first_hit")
    def first_hit(query):
        return query.share
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.core.registry import Registry
from bench.metrics.ranking import Ranked

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Candidates:
    """The candidates of one query, without an order.

    Attributes:
        n: candidates.
        gains: relevances of the relevant candidates, shape (hits,).
        ideal: relevances of all relevant items, candidates or not, the best first, shape (relevant,).
        k: cut-off; the number of candidates, or less.
        cutoff: as asked for; it may be beyond the last candidate.
    """

    n: int
    gains: Floats
    ideal: Floats
    k: int
    cutoff: int

    @property
    def share(self) -> float:
        """Probability that the candidate at a rank is relevant."""
        return len(self.gains) / self.n

    @property
    def first_at(self) -> Floats:
        """Probability that the first relevant candidate is at each rank up to k, shape (k,)."""
        ranks, hits = np.arange(1, self.k + 1), len(self.gains)
        # None among the ranks before: the product of the shares that are not relevant, rank after rank.
        left = np.maximum(self.n - hits - ranks + 1, 0) / (self.n - ranks + 1)
        none_before = np.concatenate(([1.0], np.cumprod(left)[:-1]))
        return none_before * hits / (self.n - ranks + 1) if hits else np.zeros(self.k)


Expectation = Callable[[Candidates], float]
EXPECTATIONS: Registry[Expectation] = Registry("ranking metric with a known expectation")
"""Expected value of a query's metric, by the metric's name without a cut-off."""


@EXPECTATIONS.register("recall")
def recall(query: Candidates) -> float:
    """Return the expected share of all relevant items among the first k."""
    return query.k * query.share / len(query.ideal)


@EXPECTATIONS.register("precision")
def precision(query: Candidates) -> float:
    """Return the expected relevant share of the first k; ranks beyond the end are not relevant."""
    return query.k * query.share / query.cutoff


@EXPECTATIONS.register("hit_rate")
def hit_rate(query: Candidates) -> float:
    """Return the probability that one of the first k is relevant."""
    return float(query.first_at.sum())


@EXPECTATIONS.register("mrr")
def reciprocal_rank(query: Candidates) -> float:
    """Return the expected 1 / rank of the first relevant candidate, 0 beyond k."""
    return float((query.first_at / np.arange(1, query.k + 1)).sum())


@EXPECTATIONS.register("map")
def average_precision(query: Candidates) -> float:
    """Return the expected average precision up to k."""
    ranks = np.arange(1, query.k + 1)
    # Two different candidates are both relevant with the probability of one, times that of one of the others.
    other_share = (len(query.gains) - 1) / (query.n - 1) if query.n > 1 else 0.0
    return float((query.share * (1 + (ranks - 1) * other_share) / ranks).sum() / len(query.ideal))


@EXPECTATIONS.register("ndcg")
def ndcg(query: Candidates) -> float:
    """Return the expected nDCG: the mean gain at every rank up to k, over that of an ideal ranking."""
    return _normalised_gain(query, query.gains, query.ideal)


@EXPECTATIONS.register("ndcg_exp")
def ndcg_exponential(query: Candidates) -> float:
    """Return the expected nDCG with a gain of 2 to the power of the relevance, minus 1."""
    return _normalised_gain(query, np.exp2(query.gains) - 1, np.exp2(query.ideal) - 1)


def _normalised_gain(query: Candidates, gains: Floats, ideal_gains: Floats) -> float:
    discounts = 1 / np.log2(np.arange(2, max(query.cutoff, len(query.ideal)) + 2))
    best = ideal_gains[: query.cutoff]
    ideal = float((best * discounts[: len(best)]).sum())
    return float(gains.sum() / query.n * discounts[: query.k].sum()) / ideal


def expected_values(ranked: Ranked, metric: str) -> Floats:
    """Return the expected value of a metric for each query that has a relevant item, shape (n,).

    The queries and their order are those of `bench.metrics.ranking.evaluate` when it skips queries without a
    relevant item.

    Args:
        ranked: the candidates; their order and scores do not matter.
        metric: ``mrr@10``, or without a cut-off for whole lists.

    Raises:
        KeyError: a metric whose expectation is not known, with the nearest names.
        ValueError: a cut-off that is no whole number of at least 1.

    Example:
        >>> from bench.metrics.ranking import rank
        >>> expected_values(rank([3, 2, 1], [1, 0, 0], offsets=[0, 3]), "mrr@2").tolist()
        [0.5]
    """
    name, at, text = metric.partition("@")
    expectation = EXPECTATIONS[name]
    if at and not (text.isdecimal() and int(text) >= 1):
        raise ValueError(f"found the metric {metric!r}, expected a whole number after @, such as mrr@10")
    starts = np.concatenate(([0], np.cumsum(ranked.relevant_counts - _hits(ranked))))
    values = []
    for query in np.flatnonzero(ranked.relevant_counts):
        gains = ranked.gains[ranked.offsets[query] : ranked.offsets[query + 1]]
        hits = gains[gains > 0]
        count = int(starts[query + 1] - starts[query])
        missing = (
            np.ones(count)
            if ranked.missing_gains is None
            else ranked.missing_gains[starts[query] : starts[query + 1]]
        )
        n = len(gains)
        cutoff = int(text) if at else max(n, 1)
        ideal = -np.sort(-np.concatenate((hits, missing)))
        # Whole lists: an ideal ranking has room for what is no candidate.
        reach = cutoff if at else max(cutoff, len(ideal))
        candidates = Candidates(n, hits, ideal, min(cutoff, n), reach)
        values.append(expectation(candidates) if n else 0.0)
    return np.array(values, np.float64)


def _hits(ranked: Ranked) -> NDArray[np.int64]:
    """Return how many candidates of each query are relevant."""
    total = np.concatenate(([0], np.cumsum(ranked.gains > 0)))
    return total[ranked.offsets[1:]] - total[ranked.offsets[:-1]]
