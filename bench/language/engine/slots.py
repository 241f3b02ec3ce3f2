"""Keys and values of texts that are written together, in buffers that are made once. Imports transformers.

Each text has a row, and all rows end at the same column, so that a new token is one column further in every row::

    columns   0 1 2 3 4 5 6 7 8 9
    row 0     . a a a a a a a        the longest text begins at column `begin`
    row 1     . . . . . b b b        all end before column `end`
    row 2     . . c c c c c c

A text that ends leaves its row to the last one, and a new text enters behind it. What was written before a text's
beginning is masked. Distances in columns are distances in tokens, so a layer with a window reads its last columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from bench.language.engine.masks import Windows, by_kind

# Columns that are made at once, when the last one is full: a copy of all rows once in so many steps.
ROOM = 64

KeysAndValues = Sequence[tuple[torch.Tensor, torch.Tensor]]
"""For each layer its keys and values, [rows, heads, tokens, size]; the two may differ in size."""


class Span:
    """What is in use: ``rows``, and the columns from ``begin`` up to, not including, ``end``."""

    __slots__ = ("begin", "end", "rows")

    def __init__(self) -> None:
        self.rows = self.begin = self.end = 0


class SlotLayer(DynamicLayer):  # type: ignore[no-untyped-call]  # transformers has a partly typed hook
    """The rows of one layer.

    Args:
        span: in use, of all layers.
        window: columns that a new token reads at most; None is all.
    """

    def __init__(self, span: Span, window: int | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # transformers leaves it without types
        self._span, self._window = span, window
        self.is_initialized = True
        # [slots, heads, columns, size] each. What a row may read is zero where nothing is written: a masked NaN is still
        # a NaN.
        self.buffers: list[torch.Tensor] = []

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the newest column, each [rows, heads, 1, size]; returns all that a new token reads, as views."""
        span = self._span
        end = span.end
        begin = span.begin if self._window is None else max(span.begin, end - self._window)
        keys, values = self.buffers[0][: span.rows], self.buffers[1][: span.rows]
        keys[:, :, end - 1 : end] = key_states
        values[:, :, end - 1 : end] = value_states
        return keys[:, :, begin:end], values[:, :, begin:end]

    def get_seq_length(self) -> int:
        """Return how many columns were written before the newest."""
        return max(0, self._span.end - 1 - self._span.begin)

    def put(self, row: int, given: tuple[torch.Tensor, torch.Tensor], of: int, length: int) -> None:
        """Write the first tokens of one of the given rows so that they end where all rows end."""
        end = self._span.end
        for buffer, part in zip(self.buffers, given, strict=True):
            buffer[row, :, : end - length] = 0  # what a text before it left may be NaN
            buffer[row, :, end - length : end] = part[of, :, :length]

    def put_block(self, row: int, given: tuple[torch.Tensor, torch.Tensor]) -> None:
        """Write all given rows, which are equally long, from a row on."""
        end = self._span.end
        for buffer, part in zip(self.buffers, given, strict=True):
            begin = end - part.shape[2]
            buffer[row : row + part.shape[0], :, :begin] = 0
            buffer[row : row + part.shape[0], :, begin:end] = part

    def move(self, source: int, target: int) -> None:
        """Copy a row to another one."""
        end = self._span.end
        for buffer in self.buffers:
            buffer[target, :, :end] = buffer[source, :, :end]

    def lay_out(self, slots: int, columns: int, end: int, like: Sequence[torch.Tensor]) -> None:
        """Make buffers of this size, with what is in use so that it ends at a column."""
        span = self._span
        width = span.end - span.begin
        made = []
        for place, part in enumerate(like):
            new = part.new_empty((slots, part.shape[1], columns, part.shape[3]))
            if span.rows:
                new[: span.rows, :, : end - width] = 0
                new[: span.rows, :, end - width : end] = self.buffers[place][
                    : span.rows, :, span.begin : span.end
                ]
            made.append(new)
        self.buffers = made

    def shift(self, end: int) -> None:
        """Move what is in use within the buffers so that it ends at a column."""
        span = self._span
        width = span.end - span.begin
        for buffer in self.buffers:
            used = buffer[: span.rows]
            used[:, :, end - width : end] = used[:, :, span.begin : span.end].clone()


class Slots(DynamicCache):
    """The cache of all layers.

    Args:
        size: rows at most.
        windows: of the kinds of layers, for the masks.
        of_layers: the window of each layer; None is all tokens.
        dtype, device: of the masks.

    Attributes:
        lengths: tokens of each row in use.
    """

    def __init__(
        self, size: int, windows: Windows, of_layers: Sequence[int | None], dtype: torch.dtype, device: Any
    ) -> None:  # fmt: skip
        super().__init__()
        self._size, self._windows, self._dtype, self._device = size, windows, dtype, device
        self._span = Span()
        self._rows = [SlotLayer(self._span, window) for window in of_layers]
        self.layers = list[Any](self._rows)
        self.layer_class_to_replicate = None
        self.lengths: list[int] = []
        self._columns = 0
        self._hidden: torch.Tensor | None = None  # additive, [slots, columns]

    # -- rows ----------------------------------------------------------------------------------------

    def enter(self, given: KeysAndValues, of: Sequence[int], lengths: Sequence[int]) -> None:
        """Add rows.

        Args:
            given: keys and values of the texts' tokens, which begin at the first place.
            of: for each new row, which of the given ones it is.
            lengths: tokens of each new row.
        """
        if not of:
            return
        self._make_room(max(lengths), given)
        first = len(self.lengths)
        block = list(of) == list(range(given[0][0].shape[0])) and set(lengths) == {given[0][0].shape[2]}
        for layer, own in zip(self._rows, given, strict=True):
            if block:
                layer.put_block(first, own)
                continue
            for row, (number, length) in enumerate(zip(of, lengths, strict=True), first):
                layer.put(row, own, number, length)
        self.lengths += lengths
        self._span.rows = len(self.lengths)
        self._span.begin = self._span.end - max(self.lengths)
        self._hide(range(first, len(self.lengths)))

    def leave(self, rows: Sequence[int]) -> None:
        """Remove rows; the last ones take their places.

        Args:
            rows: in ascending order. Code that keeps something for each row swaps likewise: see `swaps`.
        """
        for source, target in swaps(len(self.lengths), rows):
            for layer in self._rows:
                layer.move(source, target)
            self.lengths[target] = self.lengths[source]
            assert self._hidden is not None
            self._hidden[target] = self._hidden[source]
        del self.lengths[len(self.lengths) - len(rows) :]
        self._span.rows = len(self.lengths)
        if self.lengths:
            self._span.begin = self._span.end - max(self.lengths)
        else:
            self._span.begin = self._span.end

    def advance(self) -> Any:
        """Make place for one more token in each row; returns the masks of the step, by kind of layer."""
        if self._span.end == self._columns:
            self._make_room(0)
        span = self._span
        span.end += 1
        self.lengths = [length + 1 for length in self.lengths]
        assert self._hidden is not None
        used = self._hidden[: span.rows]
        masks = {
            name: used[
                :, None, None, span.begin if window is None else max(span.begin, span.end - window) : span.end
            ]
            for name, window in self._windows.items()
        }
        return by_kind(masks)

    # -- columns -------------------------------------------------------------------------------------

    def _make_room(self, length: int, like: KeysAndValues | None = None) -> None:
        """See to it that a row of this length ends where the others do, and that there is a column after it."""
        span = self._span
        width = max(span.end - span.begin, length)
        if span.end >= length and span.end < self._columns:
            return
        if width + ROOM <= self._columns:
            end = width
            for layer in self._rows:
                layer.shift(end)
        else:
            # A half more, so that the copies of a long text are few.
            end, self._columns = width, width + max(ROOM, width // 2)
            for number, layer in enumerate(self._rows):
                parts = layer.buffers if like is None else like[number]
                layer.lay_out(self._size, self._columns, end, parts)
        span.begin, span.end = end - (span.end - span.begin), end
        self._hide(range(span.rows))

    def _hide(self, rows: range) -> None:
        """Mask what is before the beginning of rows."""
        if self._hidden is None or self._hidden.shape[1] != self._columns:
            made = torch.zeros((self._size, self._columns), dtype=self._dtype)
            self._hidden, rows = made.to(self._device), range(len(self.lengths))
        if not rows:
            return
        begins = torch.tensor([self._span.end - self.lengths[row] for row in rows])
        before = torch.arange(self._columns) < begins[:, None]
        mask = torch.zeros(before.shape, dtype=self._dtype)
        mask.masked_fill_(before, torch.finfo(self._dtype).min)
        self._hidden[rows.start : rows.stop] = mask.to(self._device)


def swaps(count: int, leaving: Sequence[int]) -> list[tuple[int, int]]:
    """Return which of ``count`` rows move where, so that those that stay are the first ones.

    Args:
        count: rows.
        leaving: in ascending order.

    Example:
        >>> swaps(5, [1, 3])
        [(4, 1)]
    """
    left = count - len(leaving)
    gone = set(leaving)
    movers = [row for row in range(left, count) if row not in gone]
    return list(zip(movers, [row for row in leaving if row < left], strict=True))
