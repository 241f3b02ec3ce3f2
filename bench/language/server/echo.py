"""Reads what a server says about the tokens of a prompt. Servers differ in the details."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.core.errors import ModelProblem
from bench.language.server.messages import said_in


@dataclass(frozen=True, slots=True)
class Echo:
    """What a server says about the tokens of a prompt.

    Attributes:
        text: the prompt.
        tokens: their texts, as the server writes them.
        logprobs: of each token given all before; None for a first token with nothing before it.
        likeliest: the highest log-probability at each place; None if the server does not say.
        starts: offset in the text at which each token starts; None if the server's offsets do not fit the text.
    """

    text: str
    tokens: list[str]
    logprobs: list[float | None]
    likeliest: list[float | None]
    starts: list[int] | None

    @classmethod
    def of(cls, choice: Mapping[str, Any], usage: Mapping[str, Any], text: str, extra: int, url: str) -> Echo:
        """Return the echo of a choice.

        Args:
            choice: of the server's answer.
            usage: its counts of tokens; may be empty.
            text: the prompt.
            extra: how many of the last tokens may be generated ones, if `usage` does not say.
            url: for messages.

        Raises:
            ModelProblem: no log-probabilities of the prompt, or values that are not numbers.
        """
        said = _in_lists(choice.get("logprobs"))
        tokens = [str(token) for token in said.get("tokens") or []]
        logprobs = said.get("token_logprobs") or []
        counted = usage.get("prompt_tokens")
        # Not `completion_tokens`: when no token is asked for, vLLM counts one that it leaves out.
        counts = [counted] if isinstance(counted, int) else []
        counts = [count for count in (*counts, len(tokens) - extra, len(tokens)) if 0 < count <= len(tokens)]
        starts = _aligned(said.get("text_offset") or [], tokens, text, counts)
        echoed = text in said_in(choice.get("text") or "", url).answer
        is_partial = starts is None and (not counts or (isinstance(counted, int) and counted > len(tokens)))
        # Some echo the text, but give the log-probabilities of what they wrote, without a count of the prompt's tokens.
        is_partial = is_partial or (starts is None and 2 * sum(map(len, tokens)) < len(text))
        if not echoed or is_partial or len(logprobs) != len(tokens):
            # A server that ignores `echo` gives the log-probabilities of generated tokens instead.
            raise ModelProblem(
                f"{url}: found {len(logprobs)} log-probabilities of {len(tokens)} tokens, the prompt "
                f"{'' if echoed else 'not '}among the text; expected those of the prompt (echo=true, logprobs=1); "
                "use a server that gives them, such as vLLM, or evaluate by generation"
            )
        kept = counts[0] if starts is None else len(starts)
        likeliest = _likeliest(said.get("top_logprobs") or [], kept)
        return cls(text, tokens[:kept], _checked(logprobs[:kept], url), likeliest, starts)

    def border(self, offset: int) -> int | None:
        """Return the index of the first token that reaches beyond an offset; None without usable offsets."""
        if self.starts is None:
            return None
        ends = [*self.starts[1:], len(self.text)]
        # A start token has no width. For some servers, the first parts of a non-ASCII character have none either.
        first = 1 if ends[0] <= 0 and self.logprobs[0] is None and self.text[:1].isascii() else 0
        beyond = (
            index
            for index, (start, end) in enumerate(zip(self.starts, ends, strict=True))
            if index >= first and (start >= offset or end > offset)
        )
        return next(beyond, len(self.tokens))

    def is_greedy(self, first: int) -> bool | None:
        """Return whether all tokens from an index on are the most likely ones; None if there are none or it is not known."""
        verdicts = [
            None if own is None or best is None else own >= best
            for own, best in zip(self.logprobs[first:], self.likeliest[first:], strict=True)
        ]
        return None if None in verdicts or not verdicts else all(verdicts)


def _in_lists(said: Any) -> Mapping[str, Any]:
    """Return log-probabilities as lists of tokens, values and the likeliest; a chat's form has an entry for each token."""
    lists: Mapping[str, Any] = said if isinstance(said, dict) else {}
    entries = lists.get("content")
    if lists.get("tokens") or not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        return lists
    tokens = [str(entry.get("token", "")) for entry in entries]
    ends = itertools.accumulate(map(len, tokens), initial=0)
    return {
        "tokens": tokens,
        "token_logprobs": [entry.get("logprob") for entry in entries],
        "top_logprobs": [_by_rank(entry.get("top_logprobs")) for entry in entries],
        "text_offset": [start for start, _ in zip(ends, tokens, strict=False)],
    }


def _by_rank(said: Any) -> dict[int, float]:
    ranked = said if isinstance(said, list) else []
    values = [other.get("logprob") for other in ranked if isinstance(other, dict)]
    return {rank: value for rank, value in enumerate(values) if isinstance(value, int | float)}


def _aligned(
    offsets: Sequence[Any], tokens: Sequence[str], text: str, counts: Iterable[int]
) -> list[int] | None:
    """Return where the tokens of a prompt start in it; None for offsets that cannot be right.

    vLLM adds up the lengths of the tokens' texts. A start token, which is not in the text, shifts all offsets, and each
    part of a character that is spread over tokens counts as a whole character.

    Args:
        offsets: as the server gives them.
        tokens: texts of the tokens.
        text: the prompt.
        counts: how many tokens of the list may be the prompt's, the most plausible number first.
    """
    if len(offsets) != len(tokens) or not all(isinstance(offset, int) for offset in offsets):
        return None
    if any(one > other for one, other in itertools.pairwise(offsets)):
        return None
    # A separate token before the text: the next one starts where it ends.
    is_added = len(tokens) > 1 and offsets[1] == len(tokens[0]) and not text.startswith(tokens[0])
    for count in counts:
        for shift in (len(tokens[0]), 0) if is_added else (0,):
            starts = [offset - shift for offset in offsets[:count]]
            if starts[-1] < len(text) == starts[-1] + len(tokens[count - 1]):
                return starts
    return None


def _likeliest(top: Sequence[Any], count: int) -> list[float | None]:
    found = [
        max(said.values()) if isinstance(said, dict) and said else None
        for said in itertools.islice(top, count)
    ]
    return found + [None] * (count - len(found))


def _checked(logprobs: Sequence[Any], url: str) -> list[float | None]:
    for index, value in enumerate(logprobs):
        is_number = isinstance(value, int | float) and not math.isnan(value)
        if not is_number and not (index == 0 and value is None):
            raise ModelProblem(
                f"{url}: found the log-probability {value!r} at token {index} of a prompt; expected a number; "
                "see the server's log: a model in a narrow dtype may have overflowed"
            )
        # A little above 0 by rounding. A probability is above it too, and so would be scored as nonsense.
        if value is not None and value > 0.01:
            raise ModelProblem(
                f"{url}: found the log-probability {value!r} at token {index} of a prompt; expected none above 0; use a "
                "server that gives natural logarithms of probabilities, such as vLLM, or evaluate by generation"
            )
    return [None if value is None else float(value) for value in logprobs]
