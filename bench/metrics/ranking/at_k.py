"""Recall, hit rate, MRR, nDCG, MAP and precision of ranked candidates, at many k from one sort.

A query has a ragged list of candidates. `rank` sorts every list once, `evaluate` reads all metrics off it::

    ranked = rank(scores, relevances, offsets=[0, 3, 5])
    evaluate(ranked).means()["recall@5"]

**Ties.** Libraries disagree on candidates with equal scores: in some, a scorer that gives every candidate the
same score reaches an MRR of 1.0. There are three rules, and the result names the one that was used:

- ``pessimistic``, the default: the less relevant candidate goes first. No scorer gains by a tie, the value
  does not depend on the order of the input, and no document ids are needed.
- ``docid_desc``: exactly as in trec_eval. Scores are compared in single precision, and of equal ones the
  greater document id goes first; texts compare by code point.
- ``stable``: input order decides. For input whose order means something.

**Queries that no ranking can get right or wrong** are counted, and the result says how many; see `evaluate`.

Relevance is a gain of 0 or more; a candidate with a gain above 0 is relevant. Definitions are those of
trec_eval (https://github.com/usnistgov/trec_eval), unless a metric names another source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bench.metrics.ranking.blocks import Booleans, Floats, Integers, blocks
from bench.metrics.ranking.metric import RANKING_METRICS, Hits
from bench.metrics.ranking.order import Ranked
from bench.metrics.ties import TieRule

Treatment = Literal["skip", "zero"]

KS = (1, 4, 5, 10, 20, 50, 100)
_WHOLE_LIST = np.iinfo(np.int64).max
# 2 to this power leaves room for the sum over any list.
_LARGEST_EXPONENT = 500

DEFAULT_METRICS = ("recall", "hit_rate", "mrr", "ndcg", "map", "precision")


@RANKING_METRICS.register("recall")
def recall(hits: Hits) -> Floats:
    """Return the share of all relevant items that are among the first k.

    Example:
        >>> from bench.metrics.ranking import rank
        >>> evaluate(rank([3, 2, 1], [0, 1, 1], offsets=[0, 3]), ["recall"], [1, 2]).means()
        {'recall@1': 0.0, 'recall@2': 0.5}
    """
    return hits.counts / hits.relevant[:, None]


@RANKING_METRICS.register("hit_rate")
def hit_rate(hits: Hits) -> Floats:
    """Return 1 where one of the first k is relevant, else 0; trec_eval calls it success.

    Example:
        >>> from bench.metrics.ranking import rank
        >>> evaluate(rank([3, 2, 1], [0, 1, 1], offsets=[0, 3]), ["hit_rate"], [1, 2]).means()
        {'hit_rate@1': 0.0, 'hit_rate@2': 1.0}
    """
    return (hits.counts > 0).astype(np.float64)


@RANKING_METRICS.register("precision")
def precision(hits: Hits) -> Floats:
    """Return the relevant share of the first k; ranks beyond the end of a list count as not relevant.

    Example:
        >>> from bench.metrics.ranking import rank
        >>> evaluate(rank([3, 2, 1], [0, 1, 1], offsets=[0, 3]), ["precision"], [1, 4]).means()
        {'precision@1': 0.0, 'precision@4': 0.5}
    """
    return hits.counts / hits.cutoffs


@RANKING_METRICS.register("mrr", whole_list=True)
def reciprocal_rank(hits: Hits) -> Floats:
    """Return 1 over the rank of the first relevant candidate, 0 where it is beyond k or there is none.

    Example:
        >>> from bench.metrics.ranking import rank
        >>> evaluate(rank([3, 2, 1], [0, 1, 1], offsets=[0, 3]), ["mrr"], [1, 2]).means()
        {'mrr@1': 0.0, 'mrr@2': 0.5, 'mrr': 0.5}
    """
    return hits.sums(np.where(hits.nth == 1, 1 / hits.ranks, 0.0))


@RANKING_METRICS.register("map", whole_list=True)
def average_precision(hits: Hits) -> Floats:
    """Return the precision at the rank of each hit up to k, summed, over the number of all relevant items.

    As in trec_eval's map_cut, the divisor is the same at each k; some libraries divide by at most k.

    Example:
        >>> from bench.metrics.ranking import rank
        >>> evaluate(rank([3, 2, 1], [0, 1, 0], offsets=[0, 3]), ["map"], [1, 2]).means()
        {'map@1': 0.0, 'map@2': 0.5, 'map': 0.5}
    """
    return hits.sums(hits.nth / hits.ranks) / hits.relevant[:, None]


@RANKING_METRICS.register("ndcg", whole_list=True)
def ndcg(hits: Hits) -> Floats:
    """Return the gain discounted by log2(rank + 1) over that of an ideal ranking; the gain is the relevance.

    The ideal ranking holds all relevant items, candidates or not. Source: Järvelin & Kekäläinen 2002, ACM
    Transactions on Information Systems 20:422, with the discount of trec_eval.

    Example:
        >>> from bench.metrics.ranking import rank
        >>> evaluate(rank([3, 2, 1], [1, 2, 0], offsets=[0, 3]), ["ndcg"], [1, 3]).means()["ndcg@1"]
        0.5
    """
    return _normalised_gain(hits, lambda relevances: relevances)


@RANKING_METRICS.register("ndcg_exp", whole_list=True)
def ndcg_exponential(hits: Hits) -> Floats:
    """Return nDCG with a gain of 2 to the power of the relevance, minus 1. Source: Burges et al. 2005, ICML.

    Raises:
        ValueError: a relevance above 500, whose gain leaves no room for a sum.
    """
    return _normalised_gain(hits, _exponential)


def _normalised_gain(hits: Hits, gain: Callable[[Floats], Floats]) -> Floats:
    ideal_hits = hits.ideal_hits()
    reached = hits.sums(gain(hits.gains) / np.log2(hits.ranks + 1))
    ideal = ideal_hits.sums(gain(ideal_hits.gains) / np.log2(ideal_hits.ranks + 1))
    # No ranking exceeds the ideal one, but rounding can.
    return np.minimum(np.divide(reached, ideal, out=np.zeros_like(reached), where=ideal > 0), 1.0)


def _exponential(relevances: Floats) -> Floats:
    largest = float(relevances.max(initial=0))
    if largest > _LARGEST_EXPONENT:
        raise ValueError(
            f"found a relevance of {largest:g}, expected at most {_LARGEST_EXPONENT} for ndcg_exp, whose "
            "gain is 2 to its power; take ndcg, or a smaller scale"
        )
    return np.exp2(relevances) - 1


# --- values of queries and their means ----------------------------------------------------------------------


@dataclass(frozen=True)
class RankingScores:
    """The values of metrics, query by query.

    Attributes:
        values: by metric and cut-off, ``recall@5`` or ``map``, each of shape (n,) and in [0, 1].
        queries: names of the queries that the values are of, shape (n,).
        n_queries: queries given, those left out included.
        without_candidates: queries without a candidate.
        without_relevant: queries without a relevant item. A query may be in both counts.
        n_candidates: candidates of all queries.
        tied_candidates: candidates that share their score with another one of their list.
        ties: the rule that ordered them.
    """

    values: dict[str, Floats]
    queries: NDArray[Any]
    n_queries: int
    without_candidates: int
    without_relevant: int
    n_candidates: int
    tied_candidates: int
    ties: TieRule

    @property
    def n(self) -> int:
        """Queries that have a value; the count behind every mean."""
        return len(self.queries)

    @property
    def excluded(self) -> int:
        """Queries that were left out."""
        return self.n_queries - self.n

    def means(self) -> dict[str, float]:
        """Return the mean over the n queries of every metric and cut-off."""
        return {name: float(values.mean()) for name, values in self.values.items()}

    def note(self) -> str:
        """Return one line on how many queries the means are of, and why not all."""
        return (
            f"{self.n} of {self.n_queries} queries ({self.without_relevant} without a relevant item, "
            f"{self.without_candidates} without candidates); {self.tied_candidates} of {self.n_candidates} "
            f"candidates tied, {self.ties}"
        )


def metric_names(metrics: Iterable[str] | None = None, ks: Sequence[int] = KS) -> tuple[str, ...]:
    """Return the names of all values that `evaluate` gives of metrics, in its order.

    Args:
        metrics: names in `RANKING_METRICS`; left out, all of them, those that users registered included.
        ks: cut-offs.

    Raises:
        KeyError: an unknown metric, with the nearest names.

    Example:
        >>> metric_names(["recall", "map"], [1, 10])
        ('recall@1', 'recall@10', 'map@1', 'map@10', 'map')
    """
    names: list[str] = []
    for name in RANKING_METRICS if metrics is None else metrics:
        names += [f"{name}@{k}" for k in ks]
        if RANKING_METRICS[name].whole_list:
            names.append(name)
    return tuple(names)


def evaluate(
    ranked: Ranked,
    metrics: Sequence[str] = DEFAULT_METRICS,
    ks: Sequence[int] = KS,
    *,
    without_relevant: Treatment = "skip",
    without_candidates: Treatment = "zero",
) -> RankingScores:
    """Return the values of all queries for all metrics and cut-offs.

    Args:
        ranked: what `rank` or `rank_2d` made.
        metrics: names in `RANKING_METRICS`. Metrics that are declared so, such as MRR, nDCG and MAP, come for
            the whole list too, without "@k".
        ks: cut-offs, each of at least 1.
        without_relevant: a query without a relevant item is left out, since no ranking of it is right or
            wrong; with "zero" it counts as 0, as in trec_eval.
        without_candidates: a query with relevant items but without candidates counts as 0, so that returning
            nothing for hard queries gains nothing (trec_eval -c). With "skip" it is left out, as trec_eval
            does by default. The result counts both kinds of query.

    Raises:
        KeyError: an unknown metric, with the nearest names.
        ValueError: a cut-off under 1 or given twice, a treatment that is none, no query left to score, nDCG
            of graded relevances where relevant items are missing and their gains were not given, a metric
            that returns another shape or a value that is not finite.

    Example:
        >>> from bench.metrics.ranking import rank
        >>> ranked = rank([0.9, 0.8, 0.3, 0.2], [0, 1, 0, 1], offsets=[0, 2, 4])
        >>> evaluate(ranked, ["mrr", "recall"], [1, 2]).means()
        {'mrr@1': 0.0, 'mrr@2': 0.5, 'mrr': 0.5, 'recall@1': 0.0, 'recall@2': 1.0}
    """
    chosen = [RANKING_METRICS[name] for name in metrics]
    cutoffs = np.array([*sorted(_checked_cutoffs(ks)), _WHOLE_LIST])
    treatments = {"without_relevant": without_relevant, "without_candidates": without_candidates}
    for name, treatment in treatments.items():
        if treatment not in get_args(Treatment):
            raise ValueError(f"found {name}={treatment!r}, expected 'skip' or 'zero'; name one of them")
    empty, barren = ranked.lengths == 0, ranked.relevant_counts == 0
    left_out = barren & (without_relevant == "skip") | empty & ~barren & (without_candidates == "skip")
    if left_out.all():
        raise ValueError(
            f"found {len(left_out)} queries, {int(barren.sum())} of them without a relevant item and "
            f"{int(empty.sum())} without candidates, expected at least one that can be scored; see how "
            "relevances are joined to candidates"
        )

    hits = _hits(ranked, ~left_out, cutoffs)
    values: dict[str, Floats] = {}
    for metric in chosen:
        table = metric(hits)
        values |= {f"{metric.name}@{k}": table[:, np.searchsorted(cutoffs, k)].copy() for k in ks}
        if metric.whole_list:
            values[metric.name] = table[:, -1].copy()
    return RankingScores(
        values,
        ranked.queries[~left_out],
        n_queries=len(ranked.queries),
        without_candidates=int(empty.sum()),
        without_relevant=int(barren.sum()),
        n_candidates=len(ranked.order),
        tied_candidates=int(np.count_nonzero(ranked.tied)),
        ties=ranked.ties,
    )


def _hits(ranked: Ranked, kept: Booleans, cutoffs: Integers) -> Hits:
    """Return the hits of the queries that are kept; the others have none."""
    positions = ranked.hits
    queries = np.searchsorted(ranked.offsets, positions, side="right") - 1
    counts = ranked.relevant_counts[kept]
    relevant = np.maximum(counts, 1)

    @cache
    def ideal_hits() -> Hits:
        gains = _ideal_gains(ranked, queries, ranked.hit_gains)
        ranks = np.arange(1, int(counts.sum()) + 1) - np.repeat(np.cumsum(counts) - counts, counts)
        return Hits(
            np.repeat(np.arange(len(counts)), counts),
            ranks,
            gains[np.repeat(kept, ranked.relevant_counts)],
            relevant,
            cutoffs,
            ideal_hits,
        )

    ranks = positions - ranked.offsets[queries] + 1
    places = np.cumsum(kept) - 1
    return Hits(places[queries], ranks, ranked.hit_gains, relevant, cutoffs, ideal_hits)


def _ideal_gains(ranked: Ranked, queries: Integers, gains: Floats) -> Floats:
    """Return the relevances of all relevant items, the best of each query first, given those of the hits."""
    missing = ranked.relevant_counts - np.bincount(queries, minlength=len(ranked.queries))
    if missing.any():
        if ranked.missing_gains is None and (gains != 1).any():
            raise ValueError(
                f"found {int(missing.sum())} relevant items that are no candidates and relevances other than "
                "0 and 1, expected the relevances of the missing ones too, since an ideal ranking holds "
                "them; give missing_gains, or leave nDCG out"
            )
        added = np.ones(int(missing.sum())) if ranked.missing_gains is None else ranked.missing_gains
        query_of_gain = np.concatenate((queries, np.repeat(np.arange(len(missing)), missing)))
        gains = np.concatenate((gains, added))[np.argsort(query_of_gain, kind="stable")]
    best_first = np.empty_like(gains)
    for block in blocks(np.concatenate(([0], np.cumsum(ranked.relevant_counts)))):
        block.scatter(-np.sort(-block.gather(gains, 0), axis=1), best_first)
    return best_first


def _checked_cutoffs(ks: Sequence[int]) -> Sequence[int]:
    for k in ks:
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
            raise ValueError(f"found a cut-off k of {k!r}, expected a whole number of at least 1")
    if not ks or len(set(ks)) < len(ks):
        raise ValueError(f"found the cut-offs {tuple(ks)}, expected at least one and each once")
    return ks
