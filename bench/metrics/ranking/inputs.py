"""Checks of candidates before they are ranked. Every message names the query."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.metrics.ranking.blocks import Booleans, Floats, Integers, blocks

# Texts of any length each take their own room: an array of fixed width gives every id that of the longest one.
_TEXTS = np.dtypes.StringDType()


def numbers(values: ArrayLike, name: str, *, as_they_are: bool = False) -> NDArray[Any]:
    """Return scores or gains as an array of floats, shape (candidates,); of any numbers where they stay as they are."""
    array = np.asarray(values)
    if array.ndim != 1 or (array.dtype.kind not in "fiub" and array.size):
        raise ValueError(
            f"found {name} of shape {array.shape} and type {array.dtype}, expected numbers of shape "
            "(candidates,); one row for each query goes to rank_2d"
        )
    kept = array.size and as_they_are
    return array if kept or array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def single_precision(scores: NDArray[Any]) -> NDArray[Any]:
    """Return scores as trec_eval holds them: what single precision cannot tell apart is equal.

    Scores beyond its range are infinite there and equal to each other. A finite number of double precision stands for
    them, since infinity marks padding.
    """
    if scores.dtype == np.float32:
        return scores
    with np.errstate(over="ignore"):
        single = scores.astype(np.float32)
    beyond = np.isinf(single)
    if not beyond.any():
        return single
    return np.where(beyond, np.copysign(np.finfo(np.float64).max, scores), single.astype(np.float64))


def by_offsets(offsets: NDArray[Any], queries: ArrayLike | None, rows: int) -> tuple[NDArray[Any], Integers]:
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
    names = np.arange(len(bounds) - 1) if queries is None else query_names(queries)
    check_length(len(names), "names of queries", len(bounds) - 1, "lists between offsets")
    for query in np.flatnonzero(np.diff(bounds) < 0)[:1]:
        raise ValueError(
            f"found offsets {bounds[query]}, {bounds[query + 1]} around {named(names, query)}, expected "
            "them to ascend; see how the lengths of lists are summed"
        )
    return names, bounds


def by_query_ids(
    query_ids: ArrayLike, queries: ArrayLike | None, rows: int
) -> tuple[NDArray[Any], Integers, Integers | None]:
    """Return the names of the queries, their offsets, and the rows by query; None if they already are."""
    ids = labels_of(query_ids, "query ids")
    check_length(len(ids), "query ids", rows, "scores")
    # Rows of a query mostly follow each other: only the first row of each such group is looked up.
    run_starts = np.concatenate(([0], np.flatnonzero(ids[1:] != ids[:-1]) + 1))
    heads = ids[run_starts]
    if queries is None:
        _, first_runs = np.unique(codes_of(heads), return_index=True)
        names = heads[np.sort(first_runs)]
    else:
        names = query_names(queries)
        if is_text(names) != is_text(heads):
            raise ValueError(
                f"found query ids that are {_kind(heads)} and names of queries that are {_kind(names)}, expected the same "
                "kind; turn both into texts"
            )
    both: tuple[NDArray[Any], NDArray[Any]] = names, heads
    if np.result_type(names, heads).kind == "f":  # signed and unsigned: NumPy would make floats of both
        both = names.astype(object), heads.astype(object)
    numbered = codes_of(np.concatenate(both))
    of_names, of_heads = numbered[: len(names)], numbered[len(names) :]
    by_name = np.argsort(of_names)
    slots = np.minimum(np.searchsorted(of_names, of_heads, sorter=by_name), len(names) - 1)
    codes = by_name[slots]
    for run in np.flatnonzero(of_names[codes] != of_heads)[:1]:
        raise ValueError(
            f"found a candidate of query {plain(heads[run])!r}, expected one of the {len(names)} names in "
            "queries; add it, or drop its candidates"
        )
    query_of_row = np.repeat(codes, np.diff(np.concatenate((run_starts, [rows]))))
    offsets = np.concatenate(([0], np.cumsum(np.bincount(query_of_row, minlength=len(names)))))
    ordered = bool((np.diff(codes) >= 0).all())
    if ordered:
        return names, offsets, None
    # NumPy's stable sort is several times faster for integers of 16 bits, which most often suffice.
    return names, offsets, np.argsort(query_of_row.astype(np.min_scalar_type(len(names))), kind="stable")


def query_names(queries: ArrayLike) -> NDArray[Any]:
    """Return the names of queries, each of which occurs once."""
    names = labels_of(queries, "names of queries")
    _, first, counts = np.unique(codes_of(names), return_index=True, return_counts=True)
    for place in first[counts > 1][:1]:
        raise ValueError(
            f"found query {plain(names[place])!r} twice in queries, expected every name once; drop one"
        )
    return names


def labels_of(labels: ArrayLike, what: str) -> NDArray[Any]:
    """Return ids as an array of texts or integers, shape (labels,)."""
    array = labels if isinstance(labels, np.ndarray) else np.asarray(_as_objects(labels))
    if array.dtype.kind == "O":  # tables hold texts as objects
        values = array.tolist() if array.ndim == 1 else []
        # NumPy turns mixed types into texts: a missing id would become "nan", and 1 would equal "1".
        types = set(map(type, values))
        alike = [kind for kind in (str, int | np.integer) if all(issubclass(one, kind) for one in types)]
        if values and not alike:
            raise ValueError(
                f"found {what} of the types {', '.join(sorted(kind.__name__ for kind in types))}, expected "
                "all texts or all integers; look for missing ones"
            )
        if values:
            array = _texts(values) if alike == [str] else np.asarray(values)
    if array.ndim != 1 or not (array.dtype.kind in "iu" or is_text(array)):
        raise ValueError(
            f"found {what} of shape {array.shape} and type {array.dtype}, expected texts or integers in one "
            "dimension"
        )
    return array


def table_of(documents: ArrayLike) -> NDArray[Any]:
    """Return ids in rows as an array, shape (queries, candidates), texts as objects."""
    return documents if isinstance(documents, np.ndarray) else np.asarray(_as_objects(documents))


def _as_objects(labels: Any) -> Any:
    """Return a list so that NumPy keeps its texts as they are; anything else as it is."""
    return np.array(labels, dtype=object) if isinstance(labels, list | tuple) else labels


def _texts(values: list[str]) -> NDArray[Any]:
    try:
        return np.array(values, dtype=_TEXTS)
    except UnicodeEncodeError:  # half a character
        texts = np.empty(len(values), dtype=object)
        texts[:] = values
        return texts


def is_text(array: NDArray[Any]) -> bool:
    """Whether labels are texts: of fixed width, of any length, or objects that `labels_of` has looked at."""
    return array.dtype.kind in "UTO" and (array.dtype.kind != "O" or bool(array.size))


def _kind(array: NDArray[Any]) -> str:
    return "texts" if is_text(array) else "integers"


def plain(label: Any) -> Any:
    """Return a label as a plain text or integer."""
    return label.item() if hasattr(label, "item") else label


def codes_of(labels: NDArray[Any]) -> NDArray[Any]:
    """Return integers that are equal and ordered as labels are, texts by code point; shape (labels,)."""
    if labels.dtype.kind in "iu" and labels.dtype != np.uint64:
        return labels
    if labels.dtype.kind == "O":
        numbers_of = {text: number for number, text in enumerate(sorted(set(labels.tolist())))}
        return np.fromiter(map(numbers_of.__getitem__, labels.tolist()), np.int64, len(labels))
    order = np.argsort(labels, kind="stable")
    ascending = labels[order]
    codes = np.empty(len(labels), np.int64)
    codes[order] = np.cumsum(np.concatenate(([False], ascending[1:] != ascending[:-1])))
    return codes


def document_codes(documents: ArrayLike, rows: int) -> NDArray[np.signedinteger[Any]]:
    """Return signed integers that are equal and ordered as the ids of documents are, shape (candidates,)."""
    ids = labels_of(documents, "documents")
    check_length(len(ids), "documents", rows, "scores")
    codes: NDArray[np.signedinteger[Any]] = compact(codes_of(ids))
    return (
        codes if codes.dtype.itemsize == np.dtype(np.int32).itemsize else codes.astype(np.int64, copy=False)
    )


def compact(ids: NDArray[Any]) -> NDArray[Any]:
    """Return integers in half the size where they fit: they are sorted in a fifth of the time. Others stay as they are."""
    small = np.iinfo(np.int32)
    if ids.dtype.kind not in "iu" or not ids.size or ids.min() < small.min or ids.max() > small.max:
        return ids
    return ids.astype(np.int32, order="C", copy=False)


def relevant_items(
    relevant_counts: ArrayLike | None,
    missing_gains: ArrayLike | None,
    relevant: Booleans,
    names: NDArray[Any],
    offsets: Integers,
) -> tuple[Integers, Floats | None]:
    """Return the number of relevant items of each query and the gains of the missing ones, checked."""
    found = np.diff(np.searchsorted(np.flatnonzero(relevant), offsets))
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
    check_length(len(counts), "relevant_counts", len(names), "queries")
    for query in np.flatnonzero(counts < found)[:1]:
        raise ValueError(
            f"found {found[query]} relevant candidates of {named(names, query)}, expected at most its "
            f"relevant_counts, {counts[query]}; count all its relevant items, candidates or not"
        )
    counts = counts.astype(np.int64)
    if missing_gains is None:
        return counts, None
    missing = numbers(missing_gains, "missing_gains").astype(np.float64)
    check_length(
        len(missing), "missing_gains", int((counts - found).sum()), "relevant items that are missing"
    )
    bounds = np.concatenate(([0], np.cumsum(counts - found)))
    good = np.isfinite(missing) & (missing > 0)
    check_rows(missing, good, "a missing gain", "a finite one above 0", names, bounds)
    return counts, missing


def check_length(found: int, what: str, expected: int, of_what: str) -> None:
    """Refuse two numbers of things that should be equal."""
    if found != expected:
        raise ValueError(
            f"found {found} {what} and {expected} {of_what}, expected equal numbers; give both for the same "
            "candidates and queries"
        )


def check_numbers(scores: NDArray[Any], gains: NDArray[Any], names: NDArray[Any], offsets: Integers) -> None:
    """Refuse scores that are not finite, and gains that are not finite or under 0."""
    # The least and the greatest say whether all are good, and need no room: NaN is both, where there is any.
    if not (np.isfinite(scores.min()) and np.isfinite(scores.max())):
        good = np.isfinite(scores)
        check_rows(scores, good, "a score", "a finite one; see what the model gave", names, offsets)
    if not (gains.min() >= 0 and np.isfinite(gains.max())):
        good = np.isfinite(gains) & (gains >= 0)
        check_rows(gains, good, "a relevance", "a finite one of 0 or more", names, offsets)


def check_rows(
    values: NDArray[Any], good: Booleans, what: str, expected: str, names: NDArray[Any], offsets: Integers
) -> None:
    """Refuse rows that are not good; the message has the first one."""
    if good.all():
        return
    row = int(np.argmin(good))
    query = int(np.searchsorted(offsets, row, side="right")) - 1
    raise ValueError(
        f"found {what} of {values[row]:g} in {named(names, query)} ({int((~good).sum())} such rows in all), "
        f"expected {expected}"
    )


def check_duplicates(
    ids: NDArray[np.signedinteger[Any]],
    documents: ArrayLike | None,
    permutation: Integers | None,
    names: NDArray[Any],
    offsets: Integers,
) -> None:
    """Refuse a document that a query has twice."""
    ascends = ids[1:] > ids[:-1]
    ascends[offsets[1:-1][(offsets[1:-1] > 0) & (offsets[1:-1] < len(ids))] - 1] = True  # other lists
    if ascends.all():
        return
    for block in blocks(offsets):
        ascending = np.sort(block.gather(ids, np.iinfo(ids.dtype).max), axis=1)
        repeated = ascending[:, 1:] == ascending[:, :-1]
        if not block.is_whole:
            repeated &= block.inside[:, 1:]
        for row, column in np.argwhere(repeated)[:1]:
            query = int(block.rows[row])
            of_query = slice(int(offsets[query]), int(offsets[query + 1]))
            place = of_query.start + int(np.argmax(ids[of_query] == ascending[row, column]))
            document = labels_of(documents if documents is not None else [], "documents")[
                place if permutation is None else permutation[place]
            ]
            raise ValueError(
                f"found document {plain(document)!r} twice in {named(names, query)}, expected every "
                "candidate once; drop one, or see whether gathering over processes has repeated rows"
            )


def named(names: NDArray[Any], query: int) -> str:
    """Return how messages call a query."""
    return f"query {plain(names[query])!r}"
