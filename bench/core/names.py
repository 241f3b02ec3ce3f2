"""What identifies things: names for ids and folders, hashes of content."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

# Of what a message shows of a user's input: names, characters of one, characters of a value.
# Control characters, marks that turn the direction of a text, and halves of a character.
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_MOST_NAMES, _LONGEST_NAME, _LONGEST_VALUE = 20, 40, 60


def safe_name(text: str) -> str:
    """Make a model's name out of any text: what is no letter, digit, ``_`` or ``.`` becomes ``_``."""
    name = re.sub(r"[^a-z0-9_.]+", "_", text.lower()).strip("_.")
    # Inserting a letter, since removing the word could join its halves into another one.
    return name.replace("hard", "ha_rd") or "model"


def content_hash(value: Any) -> str:
    """Return what identifies plain values by their content: rows, settings, parts of a declaration."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def listed(names: Iterable[Any], nothing: str = "none") -> str:
    """Return names from somebody's file as a message lists them: each cut to 40 characters, 20 of them at most."""
    texts = [str(name) for name in names]
    shown = [
        text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}..." for text in texts[:_MOST_NAMES]
    ]
    more = [] if len(texts) <= _MOST_NAMES else [f"and {len(texts) - _MOST_NAMES} more"]
    return ", ".join(shown + more) or nothing


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun, in the plural unless it is one.

    Args:
        number: how many.
        one, many: the noun; the plural has an "s" more where it is left out.

    Example:
        >>> counted(1, "case"), counted(2, "case"), counted(0, "launch", "launches")
        ('1 case', '2 cases', '0 launches')
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def one_line(text: str) -> str:
    """Return a text as a terminal shows it in one line: without breaks, and with what steers a terminal as an escape.

    Example:
        >>> one_line("a\\nb\\x1b[31m")
        'a b\\\\x1b[31m'
    """
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), " ".join(text.split()))


def quoted(value: Any) -> str:
    """Return a value from somebody's file as Python writes it, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def json_kind(value: Any) -> str:
    """Return what a value is that JSON should have held an object in place of, in the words of a message."""
    words = {
        str: "a text", bool: "a truth value", int: "a number", float: "a number", list: "a list", type(None): "null",
    }  # fmt: skip
    return words.get(type(value), "something else")
