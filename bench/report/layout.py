"""Rows as lines: aligned for a terminal, or as a Markdown table."""

from __future__ import annotations

import re
import shutil
import textwrap
from itertools import zip_longest

from bench.core.names import one_line

WIDTH = 100
"""Columns of the widest line of a terminal."""
_NARROWEST = 40  # columns below which lines say nothing any more
_REPEATED = 40  # characters of a first column that stands next to every part of the others
_LEAST = 16  # characters of a first column that still say which case it is


def line_width() -> int:
    """Return how many columns a line may have: what COLUMNS says, else what the terminal has, and no more than `WIDTH`.

    Output that is no terminal, such as the log of a CI, has `WIDTH` columns unless COLUMNS is set.
    """
    return min(WIDTH, max(_NARROWEST, shutil.get_terminal_size((WIDTH, 24)).columns))


def prose(text: str) -> list[str]:
    """Return sentences as lines that keep to COLUMNS or to the terminal; where neither is known, lines as they are.

    Programs that read the log of a CI find a sentence in one line. Names and paths are not broken.
    """
    if shutil.get_terminal_size((0, 0)).columns == 0:
        return text.split("\n")
    found: list[str] = []
    for line in text.split("\n"):
        room = " " * (len(line) - len(line.lstrip(" ")))
        parts = textwrap.wrap(
            line.lstrip(" "),
            line_width(),
            initial_indent=room,
            subsequent_indent=room,
            break_long_words=False,
            break_on_hyphens=False,
        )
        found += parts or [line]
    return found


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
        found += [*([""] if found else []), *_wrapped(_picked(rows, columns[:count]), width)]
        columns = columns[count:]
    return found


def listed(rows: list[tuple[str, ...]], width: int) -> list[str]:
    """Return rows as `fitted` does, or as `folded` does where a short first column leaves too little room."""
    lines = fitted(rows, width)
    return lines if max(map(len, lines)) <= width else folded(rows, width)


def _wrapped(rows: list[tuple[str, ...]], width: int) -> list[str]:
    """Return rows as `fitted` does; the words of a single column that is too wide go on in further lines."""
    lines = fitted(rows, width)
    if len(rows[0]) != 2 or max(map(len, lines)) <= width:
        return lines
    names = [shortened(_one_line(row[0]), _LEAST) for row in rows]
    left = max(map(len, names))
    found = []
    for name, (_, cell) in zip(names, rows, strict=True):
        parts = textwrap.wrap(
            one_line(cell), width - left - 2, break_long_words=False, break_on_hyphens=False
        )
        found += [
            f"{said:{left}}  {part}".rstrip()
            for said, part in zip_longest([name], parts or [""], fillvalue="")
        ]
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
