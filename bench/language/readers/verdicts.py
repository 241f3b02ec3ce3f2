"""Reads the verdict of a judge: the last line of its text, in the form that it was asked for. Nothing else is read."""

from __future__ import annotations

import re
from collections.abc import Sequence

_BEFORE, _AFTER = r"[\s>#*_`]*", r"[\s*_`.]*"
_SCORE = re.compile(
    rf"{_BEFORE}score{_BEFORE}[:：]{_BEFORE}(?P<score>[0-9]{{1,6}})(?:\s*(?:/|out of)\s*(?P<of>[0-9]{{1,6}}))?{_AFTER}",
    re.IGNORECASE | re.ASCII,
)
_WORD = re.compile(
    rf"{_BEFORE}verdict{_BEFORE}[:：]{_BEFORE}(?P<word>[a-z]+){_AFTER}", re.IGNORECASE | re.ASCII
)


def read_score(text: str, scale: tuple[int, int]) -> int | None:
    """Return the score in the last line of a text; None if it has none, or one outside of the scale.

    Example:
        >>> read_score("Clear and right.\\n**Score: 4/5**", (1, 5)), read_score("4 of 5", (1, 5))
        (4, None)
    """
    found = _SCORE.fullmatch(_last_line(text))
    low, high = scale
    if found is None or not low <= int(found["score"]) <= high:
        return None
    if found["of"] is not None and int(found["of"]) != high:
        return None
    return int(found["score"])


def read_word(text: str, words: Sequence[str]) -> str | None:
    """Return the verdict in the last line of a text, as one of some words; None if it has none of them.

    Example:
        >>> read_word("B is vague.\\nVerdict: a", ("A", "B", "tie")), read_word("A", ("A", "B", "tie"))
        ('A', None)
    """
    found = _WORD.fullmatch(_last_line(text))
    said = "" if found is None else found["word"].casefold()
    return next((word for word in words if word.casefold() == said), None)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
