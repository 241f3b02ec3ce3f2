"""Markdown that fits where it is to be shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

COMMENT_BYTES = 64_000
"""A comment of GitHub holds 65,536 characters."""
SUMMARY_BYTES = 2**20 - 4096
"""A step's summary of GitHub holds 1 MiB; a longer one is not shown at all."""

TitledTable = tuple[str, Sequence[str], Sequence[tuple[str, ...]]]
"""Title, header and rows."""
_PARTS_ROOM = 200


def fitted(
    head: Sequence[str],
    tables: Sequence[TitledTable],
    foot: Sequence[str],
    draw: Callable[[tuple[str, ...], list[tuple[str, ...]]], str],
    limit: int,
) -> str:
    """Return Markdown of at most so many bytes: rows that do not fit are left out from the end, and counted.

    Args:
        head: paragraphs above the tables; they always stay.
        tables: the most important first.
        foot: paragraphs below them; they stay too.
        draw: makes a table of a header and rows.
        limit: bytes of UTF-8.
    """
    fixed = "\n\n".join([*head, *foot])
    left = limit - len(fixed.encode()) - 8
    parts: list[str] = []
    for title, header, rows in tables:
        room = left - len(title.encode()) - _PARTS_ROOM
        kept = _rows_within(tuple(header), list(rows), draw, room)
        missing = len(rows) - len(kept)
        part = [title, draw(tuple(header), kept)] if kept else [title]
        if missing:
            part.append(f"{missing} of {len(rows)} rows are left out for the size of this text.")
        text = "\n\n".join(part)
        if len(text.encode()) + 2 > left:
            break
        parts.append(text)
        left -= len(text.encode()) + 2
    return "\n\n".join([*head, *parts, *foot]) + "\n"


def _rows_within(
    header: tuple[str, ...],
    rows: list[tuple[str, ...]],
    draw: Callable[[tuple[str, ...], list[tuple[str, ...]]], str],
    room: int,
) -> list[tuple[str, ...]]:
    """Return the first rows whose table fits into so many bytes."""
    low, high = 0, len(rows)
    while low < high:
        middle = (low + high + 1) // 2
        if len(draw(header, rows[:middle]).encode()) <= room:
            low = middle
        else:
            high = middle - 1
    return rows[:low]
