"""Sequences with a common beginning, laid out so that the beginning is computed once.

The choices of a question share their beginning. A row of a batch holds it once, followed by the rest of each choice::

    tokens     q0 q1 q2 q3 | a1 a2 | b1 | c1 c2 c3
    positions   0  1  2  3 |  4  5 |  4 |  4  5  6
    segment     0  0  0  0 |  1  1 |  2 |  3  3  3

A token attends to earlier tokens that are shared or of its own choice, so every choice sees exactly what it would see
alone. The last token of a choice is predicted, never fed. For K choices of L tokens after C shared ones this is
C + K (L - 1) tokens instead of K (C + L - 1).

Rows are aligned at their ends: the scored tokens come last, and the head of the model, as wide as the vocabulary, runs
over these alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

Tokens = tuple[int, ...]
# The beginning that all texts of a run share is cached from this many tokens on.
MIN_PREFIX = 24


@dataclass(frozen=True, slots=True)
class Group:
    """Sequences that are scored together: the choices of one question.

    Attributes:
        sequences: the token ids of each whole sequence, context included, at least two each.
        starts: for each sequence, the index of its first scored token, at least 1.
    """

    sequences: tuple[Tokens, ...]
    starts: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse a sequence with nothing to score.

        Raises:
            ValueError: a sequence without a scored token, or without a token before it.
        """
        for sequence, start in zip(self.sequences, self.starts, strict=True):
            if not 1 <= start < len(sequence):
                raise ValueError(
                    f"found a sequence of {len(sequence)} tokens scored from token {start}, expected at least one "
                    "token before the first scored one and one to score; see how the text was split"
                )

    @property
    def shared(self) -> int:
        """How many tokens all sequences begin with, leaving at least one in each."""
        return min(
            common_length(self.sequences), min(len(sequence) for sequence in self.sequences) - 1
        )  # the last token is predicted, never fed

    @property
    def fed(self) -> int:
        """How many tokens the model is fed."""
        shared = self.shared
        return shared + sum(len(sequence) - shared - 1 for sequence in self.sequences)


@dataclass(frozen=True, slots=True)
class TokenScores:
    """The scored tokens of one sequence.

    Attributes:
        loglikelihoods: natural logarithm of the probability of each scored token, in order.
        is_greedy: whether each of them was the most likely token.
    """

    loglikelihoods: list[float]
    is_greedy: bool

    @property
    def total(self) -> float:
        """The log-likelihood of all scored tokens."""
        return float(np.sum(self.loglikelihoods))


def common_length(sequences: Sequence[Tokens]) -> int:
    """Return how many tokens all sequences begin with."""
    first, last = min(sequences), max(sequences)  # all sequences between these two share what the two share
    low, high = 0, min(len(first), len(last))
    while low < high:  # bisection compares whole tuples, which is faster than token by token
        middle = (low + high + 1) // 2
        if first[low:middle] == last[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


@dataclass
class PackedRow:
    """One group, laid out after ``skip`` cached tokens.

    Attributes:
        tokens, positions, segments: as in the picture above, each [fed tokens].
        queries: for each sequence, the places in the row that predict its scored tokens.
        targets: for each sequence, its scored tokens.
        first_query: the first place in the row that predicts anything.
    """

    tokens: list[int]
    positions: list[int]
    segments: list[int]
    queries: list[list[int]]
    targets: list[Tokens]
    first_query: int = field(init=False)

    def __post_init__(self) -> None:
        """Find the first query."""
        self.first_query = min(places[0] for places in self.queries)


def lay_out(group: Group, skip: int) -> PackedRow:
    """Return the layout of a group without its first ``skip`` tokens, which are shared and predict nothing scored."""
    shared = group.shared
    tokens = list(group.sequences[0][skip:shared])
    positions = list(range(skip, shared))
    segments = [0] * len(tokens)
    queries = []
    for number, (sequence, start) in enumerate(zip(group.sequences, group.starts, strict=True), 1):
        own = sequence[shared:-1]
        begin = len(tokens)
        tokens += own
        positions += range(shared, shared + len(own))
        segments += [number] * len(own)
        # The token at index t is predicted by the one before it: shared, or own.
        places = [
            index - skip if index < shared else begin + index - shared
            for index in range(start - 1, len(sequence) - 1)
        ]
        queries.append(places)
    targets = [sequence[start:] for sequence, start in zip(group.sequences, group.starts, strict=True)]
    return PackedRow(tokens, positions, segments, queries, targets)


@dataclass
class PackedBatch:
    """Rows as tensors, padded on the left.

    Attributes:
        input_ids, position_ids: int64 [rows, width].
        allowed: bool [rows, width, cached + width]: which keys a query sees.
        distance: int64 of the same shape: how many positions a key is before the query.
        keep: how many places at the end of each row predict anything.
        rows: the rows.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    allowed: torch.Tensor
    distance: torch.Tensor
    keep: int
    rows: list[PackedRow]


def pack(rows: list[PackedRow], cached: int, pad: int) -> PackedBatch:
    """Return rows as one batch that follows ``cached`` tokens, the beginning of all of them."""
    import torch  # noqa: PLC0415

    width = max(len(row.tokens) for row in rows)
    ids = np.full((len(rows), width), pad, dtype=np.int64)
    positions = np.zeros((len(rows), cached + width), dtype=np.int64)
    segments = np.full((len(rows), cached + width), -1, dtype=np.int64)  # -1 is padding
    positions[:, :cached], segments[:, :cached] = np.arange(cached), 0
    for number, row in enumerate(rows):
        n = len(row.tokens)
        ids[number, width - n :] = row.tokens
        positions[number, cached + width - n :] = row.positions
        segments[number, cached + width - n :] = row.segments
    positions_t, segments_t = torch.from_numpy(positions), torch.from_numpy(segments)
    queries, keys = segments_t[:, cached:, None], segments_t[:, None, :]
    places = torch.arange(cached + width)
    allowed = (
        (places[None, None, :] <= places[cached:, None]) & ((keys == 0) | (keys == queries)) & (keys >= 0)
    )
    # A padded query sees itself: a softmax over nothing is NaN, and NaN spreads.
    allowed |= (queries < 0) & (places[None, None, :] == places[cached:, None])
    return PackedBatch(
        torch.from_numpy(ids),
        positions_t[:, cached:],
        allowed,
        positions_t[:, cached:, None] - positions_t[:, None, :],
        max(len(row.tokens) - row.first_query for row in rows),
        rows,
    )
