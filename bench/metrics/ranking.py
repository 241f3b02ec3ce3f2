"""How well candidates are ranked: recall, hit rate, MRR, nDCG, MAP and precision at many k from one sort.

A query has a ragged list of candidates. `rank` sorts every list once, `evaluate` reads all metrics off it::

    ranked = rank(scores, relevances, offsets=[0, 3, 5])
    evaluate(ranked).means()["recall@5"]

**Ties.** Libraries disagree on candidates with equal scores, and a scorer that gives every candidate the same
score has reached an MRR of 1.0 in some. Three rules, always named in the result:

- ``pessimistic``, the default: the less relevant candidate goes first. No scorer gains by a tie, the value
  does not depend on the order of the input, and no document ids are needed.
- ``docid_desc``: the greater document id goes first, as in trec_eval; strings compare by code point. For
  parity with trec_eval, which holds scores in single precision, give float32 scores.
- ``stable``: input order decides. Only for input whose order means something.

**Queries that no ranking can get right or wrong** are counted and never silent; see `evaluate`.

Relevance is a gain of 0 or more; a candidate is relevant where it is above 0. Definitions are those of
trec_eval (https://github.com/usnistgov/trec_eval), where this file names no other source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.registry import Registry

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]
TieRule = Literal["pessimistic", "docid_desc", "stable"]
Treatment = Literal["skip", "zero"]

KS = (1, 4, 5, 10, 20, 50, 100)
# Entries of a block of lists: the block and the few arrays made of it stay in the processor's cache.
_BLOCK_ENTRIES = 1 << 18
_WHOLE_LIST = np.iinfo(np.int64).max
# 2 to this power leaves room for the sum over any list.
_LARGEST_EXPONENT = 500


# --- sorting ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ranked:
    """Candidate lists in ranked order; `rank` and `rank_2d` make one.

    Attributes:
        queries: names of the queries, shape (queries,); their indices where none were given.
        offsets: list i is at ranked positions ``offsets[i]:offsets[i + 1]``, shape (queries + 1,).
        order: input row of the candidate at each ranked position, shape (candidates,).
        gains: relevance of the candidate at each ranked position, shape (candidates,).
        tied: whether the candidate at each ranked position shares its score, shape (candidates,).
        relevant_counts: relevant items of each query, candidates or not, shape (queries,).
        missing_gains: relevances of the relevant items that are no candidates, by query, or None.
        ties: the rule that ordered equal scores.
    """

    queries: NDArray[Any]
    offsets: Integers
    order: Integers
    gains: Floats
    tied: Booleans
    relevant_counts: Integers
    missing_gains: Floats | None
    ties: TieRule

    @property
    def lengths(self) -> Integers:
        """Candidates of each query, shape (queries,)."""
        return np.diff(self.offsets)

    @property
    def ranks(self) -> Integers:
        """Rank in its list of each input row, from 1, shape (candidates,)."""
        ranks = np.empty(len(self.order), np.int64)
        ranks[self.order] = np.arange(1, len(self.order) + 1) - np.repeat(self.offsets[:-1], self.lengths)
        return ranks


def rank(
    scores: ArrayLike,
    relevances: ArrayLike,
    *,
    offsets: ArrayLike | None = None,
    query_ids: ArrayLike | None = None,
    queries: ArrayLike | None = None,
    documents: ArrayLike | None = None,
    relevant_counts: ArrayLike | None = None,
    missing_gains: ArrayLike | None = None,
    ties: TieRule = "pessimistic",
) -> Ranked:
    """Return the candidates of every query in ranked order, the best first.

    Which rows belong to which query is said by exactly one of `offsets` and `query_ids`.

    Args:
        scores: higher is better, shape (candidates,); float32 and float64 are compared as they are.
        relevances: gains of 0 or more, shape (candidates,).
        offsets: list i is rows ``offsets[i]:offsets[i + 1]``, shape (queries + 1,).
        query_ids: query of each row, in any order, shape (candidates,).
        queries: names of the queries, shape (queries,). With `query_ids`, all queries in the order of the
            result, so that one without candidates is seen; left out, those that occur, by first occurrence.
        documents: ids, shape (candidates,); needed for ``docid_desc``, and for duplicates to be seen.
        relevant_counts: relevant items of each query, candidates or not, shape (queries,); left out, those
            among the candidates.
        missing_gains: relevances of the relevant items that are no candidates, query after query; query i has
            `relevant_counts[i]` minus its relevant candidates of them. Left out, each is 1.
        ties: which of equal scores goes first; see the head of this file.

    Raises:
        ValueError: no candidates, unequal lengths, offsets that do not fit, scores that are not finite, a
            relevance that is negative or not finite, the same document twice in a query, fewer relevant items
            than there are among the candidates, ``docid_desc`` without documents. The message names the
            query.
    """
    if ties not in get_args(TieRule):
        raise ValueError(f"found the tie rule {ties!r}, expected one of {', '.join(get_args(TieRule))}")
    values, gains = (
        _numbers(scores, "scores"),
        _numbers(relevances, "relevances").astype(np.float64, copy=False),
    )
    if not len(values):
        raise ValueError("found no candidates, expected at least one; see where scores are collected")
    _check_length(len(gains), "relevances", len(values), "scores")
    if (offsets is None) == (query_ids is None):
        raise ValueError(
            f"found {'neither' if offsets is None else 'both'} of offsets and query_ids, expected exactly "
            "one: it says which rows belong to which query"
        )
    permutation = None
    if query_ids is not None:
        names, bounds, permutation = _by_query_ids(query_ids, queries, len(values))
    else:
        names, bounds = _by_offsets(np.asarray(offsets), queries, len(values))
    ids = None if documents is None else _document_codes(documents, len(values))
    if permutation is not None:
        values, gains = values[permutation], gains[permutation]
        ids = None if ids is None else ids[permutation]

    _check_rows(
        values, np.isfinite(values), "a score", "a finite one; see what the model gave", names, bounds
    )
    good = np.isfinite(gains) & (gains >= 0)
    _check_rows(gains, good, "a relevance", "a finite one of 0 or more", names, bounds)
    if ids is not None:
        _check_duplicates(ids, documents, permutation, names, bounds)
    elif ties == "docid_desc":
        raise ValueError(
            "found no documents, expected their ids; ties='docid_desc' orders equal scores by them"
        )
    counts, missing = _relevant(relevant_counts, missing_gains, gains, names, bounds)

    tie_breaker: NDArray[Any] | None = None
    if ties == "pessimistic":
        tie_breaker = gains
    elif ids is not None and ties == "docid_desc":
        tie_breaker = ~ids  # descending, and unlike a minus sign it cannot overflow
    order, tied = _sorted(values, bounds, tie_breaker)
    input_rows = order if permutation is None else permutation[order]
    return Ranked(names, bounds, input_rows, gains[order], tied, counts, missing, ties)


def rank_2d(
    scores: ArrayLike,
    relevances: ArrayLike,
    *,
    mask: ArrayLike | None = None,
    queries: ArrayLike | None = None,
    documents: ArrayLike | None = None,
    relevant_counts: ArrayLike | None = None,
    missing_gains: ArrayLike | None = None,
    ties: TieRule = "pessimistic",
) -> Ranked:
    """Return the candidates of every query in ranked order, from one row for each query.

    Args:
        scores, relevances, documents: shape (queries, candidates).
        mask: True where there is a candidate, False for padding, shape (queries, candidates); left out, no
            entry is padding. What padding holds is never looked at, so that no value has to stand for it.
        queries, relevant_counts, missing_gains, ties: as for `rank`.

    Returns:
        As `rank`; an input row is an entry that is a candidate, counted row after row.

    Raises:
        ValueError: shapes that differ or have not two dimensions, and as for `rank`.
    """
    values = np.asarray(scores)
    if values.ndim != 2:
        raise ValueError(
            f"found scores of shape {values.shape}, expected (queries, candidates); ragged lists in flat "
            "form go to rank"
        )
    kept = np.ones(values.shape, np.bool_) if mask is None else np.asarray(mask)
    if kept.dtype != np.bool_:
        raise ValueError(
            f"found a mask of {kept.dtype}, expected booleans, True for a candidate; compare labels with the "
            "number that pads them"
        )
    others = {"scores": values, "relevances": np.asarray(relevances), "mask": kept}
    if documents is not None:
        others["documents"] = np.asarray(documents)
    for name, array in others.items():
        if array.shape != values.shape:
            raise ValueError(
                f"found {name} of shape {array.shape}, expected that of the scores, {values.shape}; give "
                "both of the same candidates"
            )
    # Without padding nothing has to be picked.
    flat = {name: array.ravel() if mask is None else array[kept] for name, array in others.items()}
    return rank(
        flat["scores"],
        flat["relevances"],
        offsets=np.concatenate(([0], np.cumsum(kept.sum(axis=1)))),
        queries=queries,
        documents=flat.get("documents"),
        relevant_counts=relevant_counts,
        missing_gains=missing_gains,
        ties=ties,
    )


@dataclass(frozen=True)
class _Block:
    """Lists of like length as a rectangle, which NumPy sorts row by row.

    Attributes:
        rows: query indices, shape (rows,).
        shape: (rows, width).
        positions: of the entries in the flat form, shape (rows, width), where padding repeats the last entry
            of its list; a slice where the lists follow each other and none is padded, which saves most of the
            work.
        inside: whether an entry is no padding, shape (rows, width); not looked at with a slice.
    """

    rows: Integers
    shape: tuple[int, int]
    positions: Integers | slice
    inside: Booleans

    def gather(self, values: NDArray[Any], padding: float) -> NDArray[Any]:
        """Return the entries of the lists, shape (rows, width)."""
        if isinstance(self.positions, slice):
            return values[self.positions].reshape(self.shape)
        return np.where(self.inside, values[self.positions], padding)

    def scatter(self, entries: NDArray[Any], values: NDArray[Any]) -> None:
        """Write entries, shape (rows, width), to their positions in the flat form."""
        if isinstance(self.positions, slice):
            values[self.positions] = entries.ravel()
        else:
            values[self.positions[self.inside]] = entries[self.inside]


def _blocks(offsets: Integers) -> Iterator[_Block]:
    """Yield all lists that are not empty, those of like length together."""
    lengths = np.diff(offsets)
    by_length = np.argsort(lengths, kind="stable")
    ascending = lengths[by_length]
    begin = int(np.searchsorted(ascending, 0, side="right"))
    while begin < len(ascending):
        # A list is at most twice as long as the shortest beside it: padding at most doubles the work.
        shortest = int(ascending[begin])
        alike = int(np.searchsorted(ascending, 2 * shortest, side="right"))
        end = min(alike, begin + max(1, _BLOCK_ENTRIES // (2 * shortest)))
        rows, width = by_length[begin:end], int(ascending[end - 1])
        columns, last = np.arange(width), lengths[rows, None] - 1
        positions: Integers | slice = slice(int(offsets[rows[0]]), int(offsets[rows[-1] + 1]))
        if width > shortest or rows[-1] - rows[0] >= len(rows):
            positions = offsets[rows, None] + np.minimum(columns, last)
        yield _Block(rows, (len(rows), width), positions, columns <= last)
        begin = end


def _sorted(
    scores: NDArray[Any], offsets: Integers, tie_breaker: NDArray[Any] | None
) -> tuple[Integers, Booleans]:
    """Return the row at each ranked position and whether it is tied, each of shape (candidates,).

    Equal scores go by ascending `tie_breaker`, then by row.
    """
    order, tied = np.empty(len(scores), np.int64), np.zeros(len(scores), np.bool_)
    for block in _blocks(offsets):
        keys = -block.gather(scores, -np.inf)
        columns = np.argsort(keys, axis=1)
        ascending = np.take(keys, columns + np.arange(keys.size, step=keys.shape[1])[:, None])
        equal = (ascending[:, 1:] == ascending[:, :-1]) & block.inside[:, 1:]
        # The fast sort is not stable and knows one key; lists with ties, mostly few, are sorted again.
        again = equal.any(axis=1)
        if again.any():
            by = [keys[again]]
            if tie_breaker is not None:
                by.insert(0, block.gather(tie_breaker, 0)[again])
            columns[again] = np.lexsort(by, axis=-1)
            shares = np.zeros(keys.shape, np.bool_)
            shares[:, 1:] = equal
            shares[:, :-1] |= equal
            block.scatter(shares, tied)
        block.scatter(offsets[block.rows, None] + columns, order)
    return order, tied


# --- metrics ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hits:
    """The relevant candidates of the queries that are scored: all that a metric needs to see of a ranking.

    Attributes:
        queries: query index of each hit, ascending, shape (hits,).
        ranks: rank of each in its list, from 1, ascending within a query, shape (hits,).
        gains: relevance of each, above 0, shape (hits,).
        relevant: relevant items of each query, candidates or not, shape (queries,). At least 1, so that it
            divides: a query without any has no hit either.
        cutoffs: ascending, shape (cut-offs,).
        ideal_hits: returns those of ideal rankings, which begin with all relevant items, the best first.
    """

    queries: Integers
    ranks: Integers
    gains: Floats
    relevant: Integers
    cutoffs: Integers
    ideal_hits: Callable[[], Hits]

    @cached_property
    def nth(self) -> Integers:
        """How many hits of its query there are up to each hit, itself included, shape (hits,)."""
        first = np.searchsorted(self.queries, np.arange(len(self.relevant)))
        return np.arange(1, len(self.queries) + 1) - first[self.queries]

    @cached_property
    def counts(self) -> Floats:
        """Hits of each query up to each cut-off, shape (queries, cut-offs)."""
        return self.sums(np.ones(len(self.queries)))

    @cached_property
    def _cells(self) -> Integers:
        """The entry of (queries, cut-offs) where each hit first counts; one past the end for none."""
        columns = np.searchsorted(self.cutoffs, self.ranks)
        width = len(self.cutoffs)
        return np.where(columns < width, self.queries * width + columns, len(self.relevant) * width)

    def sums(self, terms: Floats) -> Floats:
        """Return terms, one for each hit, summed up to each cut-off, shape (queries, cut-offs)."""
        shape = len(self.relevant), len(self.cutoffs)
        entries = shape[0] * shape[1]
        added = np.bincount(self._cells, weights=terms, minlength=entries)[:entries]
        return np.cumsum(
            added.reshape(shape), axis=1, dtype=np.float64
        )  # of nothing, bincount makes integers


RankingMetric = Callable[[Hits], Floats]
RANKING_METRICS: Registry[RankingMetric] = Registry("ranking metric")
"""Values of queries at every cut-off, shape (queries, cut-offs), in [0, 1]; higher is better."""

DEFAULT_METRICS = ("recall", "hit_rate", "mrr", "ndcg", "map", "precision")
# Whose value over the whole list has a meaning and a name: `map`, without a cut-off.
_OVER_WHOLE_LIST = ("mrr", "ndcg", "ndcg_exp", "map")


@RANKING_METRICS.register("recall")
def recall(hits: Hits) -> Floats:
    """Return the share of all relevant items that are among the first k."""
    return hits.counts / hits.relevant[:, None]


@RANKING_METRICS.register("hit_rate")
def hit_rate(hits: Hits) -> Floats:
    """Return 1 where one of the first k is relevant, else 0; trec_eval calls it success."""
    return (hits.counts > 0).astype(np.float64)


@RANKING_METRICS.register("precision")
def precision(hits: Hits) -> Floats:
    """Return the relevant share of the first k; ranks beyond the end of a list count as not relevant."""
    return hits.counts / hits.cutoffs


@RANKING_METRICS.register("mrr")
def reciprocal_rank(hits: Hits) -> Floats:
    """Return 1 over the rank of the first relevant candidate, 0 where it is beyond k or there is none."""
    return hits.sums(np.where(hits.nth == 1, 1 / hits.ranks, 0.0))


@RANKING_METRICS.register("map")
def average_precision(hits: Hits) -> Floats:
    """Return the precision at the rank of each hit up to k, summed, over the number of all relevant items.

    As in trec_eval's map_cut, the divisor is the same at each k; some libraries divide by at most k.
    """
    return hits.sums(hits.nth / hits.ranks) / hits.relevant[:, None]


@RANKING_METRICS.register("ndcg")
def ndcg(hits: Hits) -> Floats:
    """Return the gain discounted by log2(rank + 1) over that of an ideal ranking; the gain is the relevance.

    The ideal ranking holds all relevant items, candidates or not. Source: Järvelin & Kekäläinen 2002, ACM
    Transactions on Information Systems 20:422, with the discount of trec_eval.
    """
    return _normalised_gain(hits, lambda relevances: relevances)


@RANKING_METRICS.register("ndcg_exp")
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
    # No ranking is above the ideal one, but rounding may be.
    return np.minimum(np.divide(reached, ideal, out=np.zeros_like(reached), where=ideal > 0), 1.0)


def _exponential(relevances: Floats) -> Floats:
    largest = float(relevances.max(initial=0))
    if largest > _LARGEST_EXPONENT:
        raise ValueError(
            f"found a relevance of {largest:g}, expected at most {_LARGEST_EXPONENT} for ndcg_exp, whose "
            "gain is 2 to its power; take ndcg, or a smaller scale"
        )
    return np.exp2(relevances) - 1


# --- values of queries and their means -------------------------------------------------------------------------


@dataclass(frozen=True)
class RankingScores:
    """What rankings are worth, query by query.

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
        metrics: names in `RANKING_METRICS`. MRR, nDCG and MAP come for the whole list too, without "@k".
        ks: cut-offs, each of at least 1.
        without_relevant: a query without a relevant item is left out, since no ranking of it is right or
            wrong; with "zero" it counts as 0, as in trec_eval.
        without_candidates: a query with relevant items but without candidates counts as 0: who returns
            nothing where it is hard must not gain by it (trec_eval -c). With "skip" it is left out, as
            trec_eval does by itself. Both kinds are counted in the result.

    Raises:
        KeyError: an unknown metric, with the nearest names.
        ValueError: a cut-off under 1 or given twice, a treatment that is none, no query left to score, nDCG
            of graded relevances where relevant items are missing and their gains were not given.
    """
    functions = {name: RANKING_METRICS[name] for name in metrics}
    cutoffs = np.array([*sorted(_checked_cutoffs(ks)), _WHOLE_LIST])
    treatments = {"without_relevant": without_relevant, "without_candidates": without_candidates}
    for name, treatment in treatments.items():
        if treatment not in get_args(Treatment):
            raise ValueError(f"found {name}={treatment!r}, expected 'skip' or 'zero'")
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
    for name, function in functions.items():
        table = function(hits)
        values |= {f"{name}@{k}": table[:, np.searchsorted(cutoffs, k)].copy() for k in ks}
        if name in _OVER_WHOLE_LIST:
            values[name] = table[:, -1].copy()
    return RankingScores(
        values,
        ranked.queries[~left_out],
        n_queries=len(ranked.queries),
        without_candidates=int(empty.sum()),
        without_relevant=int(barren.sum()),
        n_candidates=len(ranked.order),
        tied_candidates=int(ranked.tied.sum()),
        ties=ranked.ties,
    )


def _hits(ranked: Ranked, kept: Booleans, cutoffs: Integers) -> Hits:
    """Return the hits of the queries that are kept; the others have none."""
    positions = np.flatnonzero(ranked.gains > 0)
    queries = np.searchsorted(ranked.offsets, positions, side="right") - 1
    counts = ranked.relevant_counts[kept]
    relevant = np.maximum(counts, 1)

    @cache
    def ideal_hits() -> Hits:
        gains = _ideal_gains(ranked, queries, ranked.gains[positions])
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
    return Hits(places[queries], ranks, ranked.gains[positions], relevant, cutoffs, ideal_hits)


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
    for block in _blocks(np.concatenate(([0], np.cumsum(ranked.relevant_counts)))):
        block.scatter(-np.sort(-block.gather(gains, 0), axis=1), best_first)
    return best_first


# --- input and its faults --------------------------------------------------------------------------------------


def _numbers(values: ArrayLike, name: str) -> NDArray[Any]:
    array = np.asarray(values)
    if array.ndim != 1 or (array.dtype.kind not in "fiub" and array.size):
        raise ValueError(
            f"found {name} of shape {array.shape} and type {array.dtype}, expected numbers of shape "
            "(candidates,); one row for each query goes to rank_2d"
        )
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def _by_offsets(offsets: NDArray[Any], queries: ArrayLike | None, rows: int) -> tuple[NDArray[Any], Integers]:
    """Return the names of the queries and the offsets, checked."""
    if offsets.ndim != 1 or offsets.dtype.kind not in "iu" or len(offsets) < 2:
        raise ValueError(
            f"found offsets of shape {offsets.shape} and type {offsets.dtype}, expected integers of shape "
            "(queries + 1,), the first 0"
        )
    bounds = offsets.astype(np.int64)
    if bounds[0] != 0 or bounds[-1] != rows:
        raise ValueError(
            f"found offsets from {bounds[0]} to {bounds[-1]}, expected from 0 to {rows}, the number of "
            "candidates; list i is rows offsets[i]:offsets[i + 1]"
        )
    names = np.arange(len(bounds) - 1) if queries is None else _names(queries)
    _check_length(len(names), "names of queries", len(bounds) - 1, "lists between offsets")
    for query in np.flatnonzero(np.diff(bounds) < 0)[:1]:
        raise ValueError(
            f"found offsets {bounds[query]}, {bounds[query + 1]} around {_named(names, query)}, expected "
            "them to ascend; see how the lengths of lists are summed"
        )
    return names, bounds


def _by_query_ids(
    query_ids: ArrayLike, queries: ArrayLike | None, rows: int
) -> tuple[NDArray[Any], Integers, Integers | None]:
    """Return the names of the queries, their offsets, and the rows by query; None if they already are."""
    ids = _labels(query_ids, "query ids")
    _check_length(len(ids), "query ids", rows, "scores")
    # Rows of a query mostly follow each other: then the first of each is looked up, not millions.
    run_starts = np.concatenate(([0], np.flatnonzero(ids[1:] != ids[:-1]) + 1))
    heads = ids[run_starts]
    if queries is None:
        _, first_runs = np.unique(heads, return_index=True)
        names = heads[np.sort(first_runs)]
    else:
        names = _names(queries)
        if (names.dtype.kind == "U") != (heads.dtype.kind == "U"):
            raise ValueError(
                f"found query ids of type {heads.dtype} and names of queries of type {names.dtype}, expected "
                "the same kind; turn both into texts"
            )
    by_name = np.argsort(names)
    slots = np.minimum(np.searchsorted(names, heads, sorter=by_name), len(names) - 1)
    codes = by_name[slots]
    for run in np.flatnonzero(names[codes] != heads)[:1]:
        raise ValueError(
            f"found a candidate of query {heads[run].item()!r}, expected one of the {len(names)} names in "
            "queries; add it, or drop its candidates"
        )
    query_of_row = np.repeat(codes, np.diff(np.concatenate((run_starts, [rows]))))
    offsets = np.concatenate(([0], np.cumsum(np.bincount(query_of_row, minlength=len(names)))))
    ordered = bool((np.diff(codes) >= 0).all())
    if ordered:
        return names, offsets, None
    # NumPy's stable sort is several times faster for integers of 16 bits, which most often suffice.
    return names, offsets, np.argsort(query_of_row.astype(np.min_scalar_type(len(names))), kind="stable")


def _names(queries: ArrayLike) -> NDArray[Any]:
    names = _labels(queries, "names of queries")
    unique, counts = np.unique(names, return_counts=True)
    for name in unique[counts > 1][:1]:
        raise ValueError(f"found query {name.item()!r} twice in queries, expected every name once")
    return names


def _labels(labels: ArrayLike, what: str) -> NDArray[Any]:
    """Return ids as an array of texts or integers, shape (labels,)."""
    array = np.asarray(labels)
    if array.dtype.kind in "OT":  # tables hold texts as objects
        labels = array.tolist()
        array = np.asarray(labels)
    if isinstance(labels, list | tuple):
        # Of mixed types NumPy makes texts: a missing id would be called "nan", and 1 be the same as "1".
        types = set(map(type, labels))
        if not any(all(issubclass(kind, alike) for kind in types) for alike in (str, int | np.integer)):
            raise ValueError(
                f"found {what} of the types {', '.join(sorted(kind.__name__ for kind in types))}, expected "
                "all texts or all integers; look for missing ones"
            )
    if array.ndim != 1 or array.dtype.kind not in "Uiu":
        raise ValueError(
            f"found {what} of shape {array.shape} and type {array.dtype}, expected texts or integers in one "
            "dimension"
        )
    return array


def _document_codes(documents: ArrayLike, rows: int) -> NDArray[np.signedinteger[Any]]:
    """Return signed integers that are equal and ordered as the ids of documents are, shape (candidates,)."""
    ids = _labels(documents, "documents")
    _check_length(len(ids), "documents", rows, "scores")
    if ids.dtype.kind == "U" or ids.dtype == np.uint64:
        ids = np.unique(ids, return_inverse=True)[1]
    # Half the bytes are sorted in a fifth of the time.
    small = np.iinfo(np.int32)
    fits = small.min <= int(ids.min()) and int(ids.max()) <= small.max
    return ids.astype(np.int32 if fits else np.int64, copy=False)


def _relevant(
    relevant_counts: ArrayLike | None,
    missing_gains: ArrayLike | None,
    gains: Floats,
    names: NDArray[Any],
    offsets: Integers,
) -> tuple[Integers, Floats | None]:
    """Return the number of relevant items of each query and the gains of the missing ones, checked."""
    found = np.diff(np.searchsorted(np.flatnonzero(gains > 0), offsets))
    if relevant_counts is None:
        if missing_gains is not None:
            raise ValueError(
                "found missing_gains without relevant_counts, expected both: the counts say whose gains "
                "they are"
            )
        return found, None
    counts = np.asarray(relevant_counts)
    if counts.ndim != 1 or counts.dtype.kind not in "iu":
        raise ValueError(
            f"found relevant_counts of shape {counts.shape} and type {counts.dtype}, expected integers of "
            "shape (queries,)"
        )
    _check_length(len(counts), "relevant_counts", len(names), "queries")
    for query in np.flatnonzero(counts < found)[:1]:
        raise ValueError(
            f"found {found[query]} relevant candidates of {_named(names, query)}, expected at most its "
            f"relevant_counts, {counts[query]}; count all its relevant items, candidates or not"
        )
    counts = counts.astype(np.int64)
    if missing_gains is None:
        return counts, None
    missing = _numbers(missing_gains, "missing_gains").astype(np.float64)
    _check_length(
        len(missing), "missing_gains", int((counts - found).sum()), "relevant items that are missing"
    )
    bounds = np.concatenate(([0], np.cumsum(counts - found)))
    good = np.isfinite(missing) & (missing > 0)
    _check_rows(missing, good, "a missing gain", "a finite one above 0", names, bounds)
    return counts, missing


def _check_length(found: int, what: str, expected: int, of_what: str) -> None:
    if found != expected:
        raise ValueError(
            f"found {found} {what} and {expected} {of_what}, expected as many of one as of the other; give "
            "both of the same candidates and queries"
        )


def _check_rows(
    values: NDArray[Any], good: Booleans, what: str, expected: str, names: NDArray[Any], offsets: Integers
) -> None:
    if good.all():
        return
    row = int(np.argmin(good))
    query = int(np.searchsorted(offsets, row, side="right")) - 1
    raise ValueError(
        f"found {what} of {values[row]:g} in {_named(names, query)} ({int((~good).sum())} such rows in all), "
        f"expected {expected}"
    )


def _check_duplicates(
    ids: NDArray[np.signedinteger[Any]],
    documents: ArrayLike | None,
    permutation: Integers | None,
    names: NDArray[Any],
    offsets: Integers,
) -> None:
    for block in _blocks(offsets):
        ascending = np.sort(block.gather(ids, np.iinfo(ids.dtype).max), axis=1)
        repeated = (ascending[:, 1:] == ascending[:, :-1]) & block.inside[:, 1:]
        for row, column in np.argwhere(repeated)[:1]:
            query = int(block.rows[row])
            of_query = slice(int(offsets[query]), int(offsets[query + 1]))
            place = of_query.start + int(np.argmax(ids[of_query] == ascending[row, column]))
            document = _labels(documents if documents is not None else [], "documents")[
                place if permutation is None else permutation[place]
            ]
            raise ValueError(
                f"found document {document.item()!r} twice in {_named(names, query)}, expected every "
                "candidate once; drop one, or see whether gathering over processes has repeated rows"
            )


def _checked_cutoffs(ks: Sequence[int]) -> Sequence[int]:
    for k in ks:
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
            raise ValueError(f"found a cut-off k of {k!r}, expected a whole number of at least 1")
    if not ks or len(set(ks)) < len(ks):
        raise ValueError(f"found the cut-offs {tuple(ks)}, expected at least one and each once")
    return ks


def _named(names: NDArray[Any], query: int) -> str:
    return f"query {names[query].item()!r}"
