"""From queries with candidates to padded batches. Needs torch.

Dimension 0 of every tensor is the queries. Gathering over processes cuts the last batch by the length of the dataset, so
candidates in dimension 0 would be lost. A mask says which entries are padding, never a special score or relevance. Rows
are found again by `row_id`, never by their position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from bench.reranking.queries import QuerySet

_PER_TOKEN = ("input_ids", "token_type_ids")
_NO_TYPE = 0
_USUAL_LENGTH = 512
Row = dict[str, Any]


def encode_pairs(
    tokenizer: Any, query: str, candidates: Sequence[str], max_length: int
) -> dict[str, list[list[int]]]:
    """Return the tokens of each pair of the query and a candidate; the longer part of a pair that is too long is cut."""
    if not candidates:
        return {"input_ids": []}
    encoded = tokenizer(
        [query] * len(candidates), list(candidates), truncation="longest_first", max_length=max_length
    )
    return {name: encoded[name] for name in _PER_TOKEN if name in encoded}


def length_limit(tokenizer: Any, asked: int | None = None) -> int:
    """Return how many tokens a pair may have: what is asked for, by default 512, but no more than the model reads."""
    return min(asked or _USUAL_LENGTH, getattr(tokenizer, "model_max_length", _USUAL_LENGTH))


def rerank_rows(query_set: QuerySet, tokenizer: Any, max_length: int | None = None) -> list[Row]:
    """Return a row for each query of a set, tokenized once: a dataset as the Trainer takes it.

    A row has ``row_id``, the query's place in the set; ``input_ids``, a list of tokens for each candidate; and
    ``relevances``. Its length, by which a Trainer may group rows, is the number of candidates.

    Args:
        query_set: of texts.
        tokenizer: of transformers.
        max_length: tokens of a pair at most; see `length_limit`.
    """
    limit = length_limit(tokenizer, max_length)
    parts = zip(query_set.queries, query_set.candidates, query_set.relevances, strict=True)
    return [
        {
            "row_id": number,
            "relevances": list(relevances),
            **encode_pairs(tokenizer, query, candidates, limit),
        }
        for number, (query, candidates, relevances) in enumerate(parts)
    ]


@dataclass(frozen=True)
class RerankCollator:
    """Pads rows of `rerank_rows` to a batch.

    Returns ``input_ids`` and ``attention_mask`` (and ``token_type_ids`` where rows have them) of shape (queries,
    candidates, tokens), ``labels``, the relevances, and ``candidate_mask``, 1 for a candidate and 0 for
    padding, of shape (queries, candidates), and ``row_id`` of shape (queries,).

    Args:
        pad_token_id: the tokenizer's.
    """

    pad_token_id: int = 0

    def __call__(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        """Return the batch.

        Raises:
            KeyError: when a row lacks a key, as after the Trainer removed "unused" columns.
        """
        for name in ("row_id", "input_ids", "relevances"):
            if any(name not in row for row in rows):
                raise KeyError(
                    f"found a row without {name!r}, expected those of rerank_rows; set remove_unused_columns=False, since "
                    "the Trainer drops columns that a model's forward does not name"
                )
        queries = len(rows)
        width = max(1, *(len(row["input_ids"]) for row in rows))
        tokens = max(1, *(len(ids) for row in rows for ids in row["input_ids"]), 1)
        shape = (queries, width, tokens)
        batch = {
            "input_ids": torch.full(shape, self.pad_token_id),
            "attention_mask": torch.zeros(shape, dtype=torch.long),
            "labels": torch.zeros(queries, width),
            "candidate_mask": torch.zeros(queries, width, dtype=torch.long),
            "row_id": torch.tensor([row["row_id"] for row in rows]),
        }
        if any("token_type_ids" in row for row in rows):
            batch["token_type_ids"] = torch.full(shape, _NO_TYPE)
        for place, row in enumerate(rows):
            count = len(row["input_ids"])
            batch["labels"][place, :count] = torch.tensor(row["relevances"], dtype=torch.float)
            batch["candidate_mask"][place, :count] = 1
            for name in _PER_TOKEN:
                for column, ids in enumerate(row.get(name, ())):
                    batch[name][place, column, : len(ids)] = torch.tensor(ids)
            for column, ids in enumerate(row["input_ids"]):
                batch["attention_mask"][place, column, : len(ids)] = 1
        return batch
