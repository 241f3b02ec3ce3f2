"""Orders candidate lists by score, with a declared rule for equal scores."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.metrics.ranking.blocks import Booleans, Floats, Integers, blocks
from bench.metrics.ranking.inputs import (
    by_offsets,
    by_query_ids,
    check_duplicates,
    check_length,
    check_numbers,
    compact,
    document_codes,
    numbers,
    relevant_items,
    single_precision,
    table_of,
)
from bench.metrics.ties import TieRule

# A key shares an integer of 64 bits with a place, which is twice the row plus whether it is relevant.
_PLACES = 1 << 32


@dataclass(frozen=True)
class Ranked:
    """Candidate lists in ranked order; `rank` and `rank_2d` make one.

    Attributes:
        queries: names of the queries, shape (queries,); their indices where none were given.
        offsets: list i is at ranked positions ``offsets[i]:offsets[i + 1]``, shape (queries + 1,).
        order: input row of the candidate at each ranked position, shape (candidates,).
        hits: ranked positions of the relevant candidates, ascending, shape (relevant candidates,).
        hit_gains: their relevances, shape (relevant candidates,).
        tied: whether the candidate at each ranked position shares its score, shape (candidates,).
        relevant_counts: relevant items of each query, candidates or not, shape (queries,).
        missing_gains: relevances of the relevant items that are no candidates, by query, or None.
        ties: the rule that ordered equal scores.
    """

    queries: NDArray[Any]
    offsets: Integers
    order: Integers
    hits: Integers
    hit_gains: Floats
    tied: Booleans
    relevant_counts: Integers
    missing_gains: Floats | None
    ties: TieRule

    @property
    def lengths(self) -> Integers:
        """Candidates of each query, shape (queries,)."""
        return np.diff(self.offsets)

    @cached_property
    def gains(self) -> Floats:
        """Relevance of the candidate at each ranked position, shape (candidates,)."""
        gains = np.zeros(len(self.order), np.float64)
        gains[self.hits] = self.hit_gains
        return gains

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

    Exactly one of `offsets` and `query_ids` says which rows belong to which query.

    Args:
        scores: higher is better, shape (candidates,); float32 and float64 are compared as they are, but for
            ``docid_desc``, which compares in single precision.
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
        ties: which of equal scores goes first; see `bench.metrics.ranking.at_k`.

    Raises:
        ValueError: no candidates, unequal lengths, offsets that do not fit, scores that are not finite, a
            relevance that is negative or not finite, the same document twice in a query, fewer relevant items
            than there are among the candidates, ``docid_desc`` without documents. The message names the
            query.

    Example:
        >>> rank([0.2, 0.9, 0.5], [1, 0, 0], offsets=[0, 3]).order.tolist()
        [1, 2, 0]
    """
    if ties not in get_args(TieRule):
        raise ValueError(f"found the tie rule {ties!r}, expected one of {', '.join(get_args(TieRule))}")
    values = numbers(scores, "scores")
    gains = numbers(relevances, "relevances", as_they_are=True)
    if not len(values):
        raise ValueError("found no candidates, expected at least one; see where scores are collected")
    check_length(len(gains), "relevances", len(values), "scores")
    if (offsets is None) == (query_ids is None):
        raise ValueError(
            f"found {'neither' if offsets is None else 'both'} of offsets and query_ids, expected exactly "
            "one: it says which rows belong to which query"
        )
    permutation = None
    if query_ids is not None:
        names, bounds, permutation = by_query_ids(query_ids, queries, len(values))
    else:
        names, bounds = by_offsets(np.asarray(offsets), queries, len(values))
    ids = None if documents is None else document_codes(documents, len(values))
    if permutation is not None:
        values, gains = values[permutation], gains[permutation]
        ids = None if ids is None else ids[permutation]

    check_numbers(values, gains, names, bounds)
    if ids is not None:
        check_duplicates(ids, documents, permutation, names, bounds)
    elif ties == "docid_desc":
        raise ValueError(
            "found no documents, expected their ids; ties='docid_desc' orders equal scores by them"
        )
    relevant = gains > 0
    counts, missing = relevant_items(relevant_counts, missing_gains, relevant, names, bounds)

    if ties == "docid_desc":
        values = single_precision(values)
    tie_breaker: NDArray[Any] | None = None
    if ties == "pessimistic":
        tie_breaker = gains
    elif ids is not None and ties == "docid_desc":
        tie_breaker = ids
    order, hits, tied = _sorted(values, relevant, bounds, tie_breaker, descending=ties == "docid_desc")
    hit_gains = gains[order[hits]].astype(np.float64)
    input_rows = order if permutation is None else permutation[order]
    return Ranked(names, bounds, input_rows, hits, hit_gains, tied, counts, missing, ties)


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
            entry is padding. Padding is never read, so no value has to stand for it.
        queries, relevant_counts, missing_gains, ties: as for `rank`.

    Returns:
        As `rank`; an input row is an entry that is a candidate, counted row after row.

    Raises:
        ValueError: shapes that differ or do not have two dimensions, and as for `rank`.

    Example:
        >>> candidate = [[True, True], [True, False]]
        >>> rank_2d([[0.2, 0.9], [0.5, 0.0]], [[1, 0], [1, 0]], mask=candidate).order.tolist()
        [1, 0, 2]
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
        others["documents"] = compact(table_of(documents))
    for name, array in others.items():
        if array.shape != values.shape:
            raise ValueError(
                f"found {name} of shape {array.shape}, expected that of the scores, {values.shape}; give "
                "both of the same candidates"
            )
    # Without padding, ravel does without a copy.
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


def _sorted(
    scores: NDArray[Any],
    relevant: Booleans,
    offsets: Integers,
    tie_breaker: NDArray[Any] | None,
    *,
    descending: bool,
) -> tuple[Integers, Integers, Booleans]:
    """Return the row at each ranked position, the ranked positions of relevant rows, and which positions are tied.

    Rows and ties have shape (candidates,). Equal scores go by `tie_breaker`, integers where it is `descending`,
    then by row.
    """
    order, tied = np.empty(len(scores), np.int64), np.zeros(len(scores), np.bool_)
    ranked_relevant = np.empty(len(scores), np.bool_)
    fits = scores.dtype == np.float32 and 2 * len(scores) < _PLACES
    sort = _sort_packed if fits else _sort_by_score
    for block in blocks(offsets):
        # Zero minus the score: a negative zero becomes a zero, so that equal scores have equal bits.
        keys = np.subtract(scores.dtype.type(0), block.gather(scores, -np.inf))
        # Whether a row is relevant travels with it, so that hits are found without looking rows up. Lists that follow
        # each other are sorted where their rows are to stand.
        positions = block.positions
        if isinstance(positions, slice):
            places = order[positions].reshape(block.shape)
            places[...] = np.arange(2 * positions.start, 2 * positions.stop, 2).reshape(block.shape)
            places |= relevant[positions].reshape(block.shape)
        else:
            places = 2 * positions + relevant[positions]
        equal = sort(keys, places)
        if not block.is_whole:
            equal &= block.inside[:, 1:]
        # These sorts take one key. Lists with ties, usually few, are sorted again.
        again = np.flatnonzero(equal.any(axis=1))
        if len(again):
            by = [keys[again]]
            if tie_breaker is not None:
                breaker = block.gather(tie_breaker, 0)[again]
                by.insert(0, ~breaker if descending else breaker)  # unlike a minus sign, ~ cannot overflow
            by_row = np.sort(places[again], axis=1)
            places[again] = np.take_along_axis(by_row, np.lexsort(by, axis=-1), axis=1)
            shares = np.zeros(keys.shape, np.bool_)
            shares[again, 1:] = equal[again]
            shares[again, :-1] |= equal[again]
            block.scatter(shares, tied)
        block.scatter((places & 1).astype(np.bool_), ranked_relevant)
        places >>= 1
        if not block.is_whole:
            block.scatter(places, order)
    return order, np.flatnonzero(ranked_relevant), tied


def _sort_by_score(keys: NDArray[Any], places: Integers) -> Booleans:
    """Sort places, shape (rows, width), by ascending keys, in place; return where a key equals the one before."""
    columns = np.argsort(keys, axis=1)
    places[...] = np.take_along_axis(places, columns, axis=1)
    ascending = np.take_along_axis(keys, columns, axis=1)
    equal: Booleans = ascending[:, 1:] == ascending[:, :-1]
    return equal


def _sort_packed(keys: NDArray[np.float32], places: Integers) -> Booleans:
    """Do the same for single precision: a key and its place are one integer, and integers are sorted twice as fast."""
    bits = keys.view(np.int32)
    # The bits of negative numbers descend; turned round, integers have the order of the numbers.
    packed = (bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))).astype(np.int64)
    packed <<= 32
    places |= packed
    places.sort(axis=1)
    equal: Booleans = (places[:, 1:] ^ places[:, :-1]).view(np.uint64) < _PLACES
    places &= _PLACES - 1
    return equal
