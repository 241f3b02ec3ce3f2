"""From queries with candidates of any form, such as images, to padded batches. Needs torch.

What a query and a candidate become is said by two functions of the user's: a tokenizer, an image processor, anything that
returns arrays by name. Dimension 0 of every tensor is the queries, as in `bench.reranking.batches`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from bench.reranking.queries import QuerySet

Encode = Callable[[Any], Mapping[str, Any]]
"""Returns arrays by name for one query or candidate."""
Row = dict[str, Any]
_KEYS = ("row_id", "query", "candidates", "relevances")


def content_rows(query_set: QuerySet) -> list[Row]:
    """Return a row for each query of a set, as the Trainer takes it, with its contents as they are.

    A row has ``row_id``, the query's place in the set, ``query``, ``candidates`` and ``relevances``. A row without
    candidates also has one of another query as ``stand_in``, so that a batch of such rows still has the right shape.
    """
    any_candidate = [candidate for candidates in query_set.candidates for candidate in list(candidates)[:1]]
    rows = []
    parts = zip(query_set.queries, query_set.candidates, query_set.relevances, strict=True)
    for number, (query, candidates, relevances) in enumerate(parts):
        row = {
            "row_id": number,
            "query": query,
            "candidates": list(candidates),
            "relevances": list(relevances),
        }
        rows.append(row if row["candidates"] else {**row, "stand_in": any_candidate[:1]})
    return rows


@dataclass(frozen=True)
class ContentCollator:
    """Encodes and pads rows of `content_rows` to a batch; a ``rerank_collator`` and a ``data_collator``.

    Returns ``query_NAME`` of shape (queries, ...) for each array of a query, ``candidate_NAME`` of shape (queries,
    candidates, ...) for each of a candidate, ``labels``, the relevances, and ``candidate_mask``, 1 for a candidate and 0 for
    padding, of shape (queries, candidates), and ``row_id`` of shape (queries,). Arrays of different shape, such as tokens,
    are padded with 0 at their ends; a tokenizer's ``attention_mask`` says where.

    Args:
        encode_query: returns the arrays of a query.
        encode_candidate: returns those of a candidate.
    """

    encode_query: Encode
    encode_candidate: Encode

    def __call__(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        """Return the batch.

        Raises:
            KeyError: when a row lacks a key, as after the Trainer removed "unused" columns.
            ValueError: no row has a candidate, or the arrays of one name have different numbers of dimensions.
        """
        for name in _KEYS:
            if any(name not in row for row in rows):
                raise KeyError(
                    f"found a row without {name!r}, expected those of content_rows; set remove_unused_columns=False, since "
                    "the Trainer drops columns that a model's forward does not name"
                )
        queries = [self.encode_query(row["query"]) for row in rows]
        shown = [[self.encode_candidate(one) for one in row["candidates"]] for row in rows]
        encoded = [one for of_row in shown for one in of_row]
        if not encoded:
            stand_ins = [one for row in rows for one in row.get("stand_in", ())]
            encoded = [self.encode_candidate(one) for one in stand_ins[:1]]
        if not encoded:
            raise ValueError("found no candidate in any row, expected one at least; leave such a set out")
        shape = len(rows), max(1, *map(len, shown))
        batch = {
            "labels": torch.zeros(shape),
            "candidate_mask": torch.zeros(shape, dtype=torch.long),
            "row_id": torch.tensor([row["row_id"] for row in rows]),
        }
        for place, row in enumerate(rows):
            count = len(row["candidates"])
            batch["labels"][place, :count] = torch.tensor(row["relevances"], dtype=torch.float)
            batch["candidate_mask"][place, :count] = 1
        for name in queries[0]:
            batch[f"query_{name}"] = _padded(
                [(number, one[name]) for number, one in enumerate(queries)], shape[:1]
            )
        for name in encoded[0]:
            entries = [
                (place * shape[1] + column, one[name])
                for place, of_row in enumerate(shown)
                for column, one in enumerate(of_row)
            ]
            batch[f"candidate_{name}"] = _padded(entries, shape, like=encoded[0][name])
        return batch


def _padded(entries: Sequence[tuple[int, Any]], shape: tuple[int, ...], like: Any = None) -> torch.Tensor:
    """Return arrays at their places in a tensor of zeros, shape (*shape, ...) with room for the largest of them.

    Args:
        entries: place in the flattened `shape`, and array.
        shape: of the leading dimensions.
        like: an array that says form and type where there are no entries.
    """
    arrays = [(place, torch.as_tensor(array)) for place, array in entries]
    forms = [array for _, array in arrays] or [torch.as_tensor(like)]
    dimensions = {array.dim() for array in forms}
    if len(dimensions) > 1:
        raise ValueError(
            f"found arrays of {' and '.join(map(str, sorted(dimensions)))} dimensions under one name, expected one "
            "number of them; correct what encodes queries and candidates"
        )
    room = [max(sizes) for sizes in zip(*(array.shape for array in forms), strict=True)]
    places = 1
    for size in shape:
        places *= size
    padded = torch.zeros(places, *room, dtype=forms[0].dtype)
    for place, array in arrays:
        padded[place][tuple(slice(size) for size in array.shape)] = array
    return padded.reshape(*shape, *room)
