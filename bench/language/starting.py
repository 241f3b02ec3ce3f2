"""What a tokenizer puts around texts: a start, which a chat template may write too, and an end. Imports no framework."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class StartToken:
    """What texts of a tokenizer begin with: its start token, or what it puts before a text, such as ``[gMASK]<sop>``.

    Args:
        tokenizer: of transformers.

    Attributes:
        texts: of the tokens of one start; empty for a tokenizer that has none.
        adds_end: whether it ends each text with its end token, after which no model goes on.
    """

    def __init__(self, tokenizer: Any) -> None:
        plain, own = (list(tokenizer("a", add_special_tokens=own)["input_ids"]) for own in (False, True))
        place = next((i for i in range(len(own)) if own[i : i + len(plain)] == plain), 0) if plain else 0
        self.adds_end = bool(plain) and own[place + len(plain) :] == [tokenizer.eos_token_id]
        start = tokenizer.bos_token_id
        self._ids: list[int] = own[:place] or ([] if start is None else [start])
        self.texts: list[str] = list(tokenizer.convert_ids_to_tokens(self._ids))
        # A tokenizer may add something else than the token that is named as its start.
        self._written = {"".join(self.texts), tokenizer.bos_token or ""} - {""}

    @property
    def text(self) -> str:
        """What a text begins with where the start is written out."""
        return "".join(self.texts)

    def begins(self, text: str) -> bool:
        """Return whether a text begins with a start, so that the tokenizer must not add another one."""
        text = text.lstrip()
        return any(text.startswith(start) for start in self._written)

    def count(self, tokens: Sequence[Any]) -> int:
        """Return how many starts a text begins with.

        Args:
            tokens: of the text, as ids or as texts.
        """
        unit: list[Any] = self.texts if tokens and isinstance(tokens[0], str) else self._ids
        found = 0
        while unit and list(tokens[found * len(unit) : (found + 1) * len(unit)]) == unit:
            found += 1
        return found
