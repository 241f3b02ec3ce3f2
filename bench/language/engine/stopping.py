"""Stop strings: whether a text is complete with its newest token. Imports no framework."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.language.chat import Marks, stop_place

# Tokens looked back at for a stop string, in addition to those of the string itself.
_MARGIN = 8
# The character that means a blank at the beginning of a piece, in byte-level and in SentencePiece vocabularies.
_BLANKS = ("\u0120", "\u2581")


@dataclass(frozen=True, slots=True)
class Request:
    """One text to continue.

    Attributes:
        tokens: token ids of the prompt.
        max_out_len: new tokens at most.
        stop: strings at which the text ends; none of them counts inside a thought.
        seed: of this text's sampling.
        marks: of thoughts; None if there are none.
        begun: whether the prompt ends inside a thought.
    """

    tokens: tuple[int, ...]
    max_out_len: int
    stop: tuple[str, ...] = ()
    seed: int = 0
    marks: Marks | None = None
    begun: bool = False


class EndingTokens:
    """Which tokens may bring the last character of a stop string.

    Args:
        tokenizer: whose tokens.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._found: dict[frozenset[str], frozenset[int]] = {}

    def text(self, tokens: list[int]) -> str:
        """Return the text of tokens."""
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=False)
        return text

    def that_may_end(self, stops: set[str]) -> frozenset[int]:
        """Return the ids of the tokens that may bring the last character of a stop string."""
        last = frozenset(stop[-1] for stop in stops)
        if last not in self._found:
            self._found[last] = self._ids(last) if last else frozenset()
        return self._found[last]

    def _ids(self, last: frozenset[str]) -> frozenset[int]:
        ids = range(len(self._tokenizer))
        # A blank at the beginning of a word is lost when the word is decoded alone; its piece shows it.
        pieces = self._tokenizer.convert_ids_to_tokens(list(ids))
        texts = self._tokenizer.batch_decode([[token] for token in ids], skip_special_tokens=False)
        blank = " " in last
        return frozenset(
            token
            for token, piece, text in zip(ids, pieces, texts, strict=True)
            # U+FFFD: part of a character, which this token may complete.
            if not last.isdisjoint(text) or "\ufffd" in text or (blank and (piece or "")[:1] in _BLANKS)
        )


class Stops:
    """The stop strings of some requests.

    A stop string is complete with the token that brings its last character, so only texts whose newest token may do so
    are decoded. A missed one would only make the text longer: it is cut at its stop strings in the end anyway.

    Args:
        tokens: of the model's tokenizer.
        requests: whose stop strings.
    """

    def __init__(self, tokens: EndingTokens, requests: Sequence[Request]) -> None:
        self._tokens = tokens
        stops = {stop for request in requests for stop in request.stop if stop}
        self._look_back = max(map(len, stops), default=0) + _MARGIN  # no token is shorter than one byte
        self.ending = tokens.that_may_end(stops)

    def end(self, request: Request, tokens: list[int]) -> bool:
        """Whether a text has a stop string. Ask only if its newest token is one of ``ending``.

        Args:
            request: what is continued.
            tokens: of the new text.
        """
        text = self._tokens.text(tokens[-self._look_back :])
        if not any(stop in text for stop in request.stop):
            return False
        if request.marks is None:
            return True
        whole = self._tokens.text(tokens)  # unless it is a part of a thought
        return stop_place(whole, request.stop, request.marks, request.begun) is not None
