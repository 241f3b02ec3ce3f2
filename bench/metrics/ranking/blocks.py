"""Ragged candidate lists in blocks of similar length, so that NumPy works on rectangles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

# Entries of a block of lists: the block and the few arrays made of it stay in the processor's cache.
_BLOCK_ENTRIES = 1 << 16


@dataclass(frozen=True)
class Block:
    """Lists of similar length as a rectangle, which NumPy sorts row by row.

    Attributes:
        rows: query indices, shape (rows,).
        shape: (rows, width).
        positions: of the entries in the flat form, shape (rows, width), where padding repeats the last entry
            of its list. A slice where the lists follow each other without padding, which saves most of the
            work.
        last: column of the last entry of each list, shape (rows, 1).
    """

    rows: Integers
    shape: tuple[int, int]
    positions: Integers | slice
    last: Integers

    @cached_property
    def inside(self) -> Booleans:
        """Whether an entry is a candidate and no padding, shape (rows, width)."""
        return np.arange(self.shape[1]) <= self.last

    def gather(self, values: NDArray[Any], padding: float) -> NDArray[Any]:
        """Return the entries of the lists, shape (rows, width)."""
        if isinstance(self.positions, slice):
            return values[self.positions].reshape(self.shape)
        return np.where(self.inside, values[self.positions], padding)

    @property
    def is_whole(self) -> bool:
        """Whether no entry is padding."""
        return isinstance(self.positions, slice)

    def scatter(self, entries: NDArray[Any], values: NDArray[Any]) -> None:
        """Write entries, shape (rows, width), to their positions in the flat form."""
        if isinstance(self.positions, slice):
            values[self.positions] = entries.ravel()
        else:
            values[self.positions[self.inside]] = entries[self.inside]


def blocks(offsets: Integers) -> Iterator[Block]:
    """Yield all lists that are not empty, those of similar length together."""
    lengths = np.diff(offsets)
    by_length = np.argsort(lengths, kind="stable")
    ascending = lengths[by_length]
    begin = int(np.searchsorted(ascending, 0, side="right"))
    while begin < len(ascending):
        # A list is at most twice as long as the shortest one in its block: padding at most doubles the work.
        shortest = int(ascending[begin])
        alike = int(np.searchsorted(ascending, 2 * shortest, side="right"))
        end = min(alike, begin + max(1, _BLOCK_ENTRIES // (2 * shortest)))
        rows, width = by_length[begin:end], int(ascending[end - 1])
        last = lengths[rows, None] - 1
        positions: Integers | slice = slice(int(offsets[rows[0]]), int(offsets[rows[-1] + 1]))
        if width > shortest or rows[-1] - rows[0] >= len(rows):
            positions = offsets[rows, None] + np.minimum(np.arange(width), last)
        yield Block(rows, (len(rows), width), positions, last)
        begin = end
