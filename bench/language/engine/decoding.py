"""Tokens as the text that a reader sees. Imports no framework."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.language.chat import Marks


def readable(tokenizer: Any, tokens: Sequence[int], marks: Marks | None) -> str:
    """Return the text of tokens without special ones, except for the marks of thoughts.

    Args:
        tokenizer: of transformers.
        tokens: to decode.
        marks: of thoughts; None if there are none.
    """
    kept = {} if marks is None else _special(tokenizer, marks)
    if not kept or kept.keys().isdisjoint(tokens):
        plain: str = tokenizer.decode(list(tokens), skip_special_tokens=True)
        return plain
    parts, begin = [], 0
    for place, token in enumerate([*tokens, None]):
        if token is None or token in kept:
            parts.append(tokenizer.decode(list(tokens[begin:place]), skip_special_tokens=True))
            parts.append("" if token is None else kept[token])
            begin = place + 1
    return "".join(parts)


def _special(tokenizer: Any, marks: Marks) -> dict[int, str]:
    """Return the ids of marks that are special tokens, which decoding would leave out."""
    special = set(getattr(tokenizer, "all_special_ids", ()))
    ids = {_id(tokenizer, mark): mark for mark in (marks.opening, marks.closing)} if special else {}
    return {token: mark for token, mark in ids.items() if token in special}


def _id(tokenizer: Any, mark: str) -> int:
    token: int = tokenizer.convert_tokens_to_ids(mark)
    return -1 if token is None or token == tokenizer.unk_token_id else token
