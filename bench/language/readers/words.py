"""Readers of words and lines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bench.language.readers.text import last_box

Row = Mapping[str, Any]


def first_line(text: str, row: Row, cut: bool = False) -> str | None:
    """Return the first line that is not blank, stripped, or None. A line at which the text was cut is not read."""
    for line in text.splitlines(keepends=True):
        if line.strip():
            return None if cut and line == line.rstrip("\r\n") else line.strip()
    return None


def first_word(text: str, row: Row, cut: bool = False) -> str | None:
    """Return the first run of letters and digits, including apostrophes and hyphens within it, or None.

    A word at which the text was cut is not read.
    """
    found = re.search(r"[^\W_]+(?:['’-][^\W_]+)*", text)
    return None if found is None or (cut and found.end() == len(text)) else found[0]


def boxed(text: str, row: Row, cut: bool = False) -> str | None:
    r"""Return the content of the last ``\boxed{...}`` whose braces balance, or None if it is empty or absent."""
    found = last_box(text)
    return None if found is None else found[1]


def strip(text: str, row: Row) -> str | None:
    """Return the text without the blanks around it."""
    return text.strip()


def lower(text: str, row: Row) -> str | None:
    """Return the text in lower case."""
    return text.lower()
