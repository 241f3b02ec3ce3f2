"""Rows as lines: aligned for a terminal, or as a Markdown table."""

from __future__ import annotations

import re

from bench.core.names import one_line

WIDTH = 100
"""Columns of the widest line of a terminal."""
_REPEATED = 40  # characters of a first column that stands next to every part of the others
_LEAST = 16  # characters of a first column that still say which case it is


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Return rows as lines: the first column to the left, numbers to the right."""
    rows = [tuple(map(_one_line, row)) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _one_line(cell: str) -> str:
    """Return a cell in one line, as far indented as it was: rows of parts stand below their case."""
    return " " * (len(cell) - len(cell.lstrip(" "))) + one_line(cell)


def fitted(rows: list[tuple[str, ...]], width: int) -> list[str]:
    """Return rows as `aligned` does, the first column shortened in its middle where lines would be wider than `width`."""
    lines = aligned(rows)
    excess = max(map(len, lines)) - width
    longest = max(len(row[0]) for row in rows)
    if excess <= 0 or longest - excess < _LEAST:
        return lines
    return aligned([(shortened(row[0], longest - excess), *row[1:]) for row in rows])


def folded(rows: list[tuple[str, ...]], width: int) -> list[str]:
    """Return rows as `aligned` does; columns for which `width` has no room go on below, next to the first one again."""
    lines = aligned(rows)
    if max(map(len, lines)) <= width:
        return lines
    rows = [(shortened(row[0], _REPEATED), *row[1:]) for row in rows]
    found: list[str] = []
    columns = list(range(1, len(rows[0])))
    while columns or not found:
        count = len(columns)
        while count > 1 and max(map(len, aligned(_picked(rows, columns[:count])))) > width:
            count -= 1
        found += [*([""] if found else []), *fitted(_picked(rows, columns[:count]), width)]
        columns = columns[count:]
    return found


def _picked(rows: list[tuple[str, ...]], columns: list[int]) -> list[tuple[str, ...]]:
    return [(row[0], *(row[column] for column in columns)) for row in rows]


def shortened(text: str, width: int) -> str:
    """Return a text of at most `width` characters, its middle left out where it is longer.

    Example:
        >>> shortened("hard-tiny_sd-deepcache-17", 15)
        'hard-ti...he-17'
    """
    if len(text) <= width:
        return text
    end = (width - 3) // 2 - 1
    return f"{text[: width - 3 - end]}...{text[len(text) - end :]}"


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a Markdown table; what would end a cell or begin an HTML tag is escaped."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return re.sub(r"([\\|<])", r"\\\1", " ".join(text.split()))
