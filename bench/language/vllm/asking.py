"""Scores and texts from vLLM, in the forms in which backends ask for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bench.core.errors import LanguageProblem
from bench.language.chat import WrittenText, stop_place, written
from bench.language.engine.decoding import readable
from bench.language.engine.packing import Group, TokenScores
from bench.language.engine.stopping import Request
from bench.language.vllm.engine import Arguments, Reply, Tokens, VllmEngine
from bench.language.vllm.sampling import VllmSampling

# Prompts of one call. vLLM makes its own batches of them; what is known is saved after each call.
CALL = 1024
_SCORED: Arguments = {"temperature": 0.0, "max_tokens": 1, "prompt_logprobs": 1, "detokenize": False}
_SEEDS = 2**63

Item = TypeVar("Item")


@dataclass(slots=True)
class Calls:
    """How prompts are put together: in calls of a fixed size. vLLM frees memory itself.

    Attributes:
        size: prompts of a call at most.
        halvings: never any.
    """

    size: int = CALL
    halvings: int = 0


class EngineScorer:
    """Scores groups of sequences by the log-probabilities of prompts.

    Args:
        engine: that is asked.
        calls: how prompts are put together.

    Attributes:
        batches: how prompts are put together.
        fed_tokens: tokens that the model was fed so far.
        shares: never: vLLM computes a prompt with log-probabilities from its beginning.
    """

    def __init__(self, engine: VllmEngine, calls: Calls) -> None:
        self._engine, self.batches = engine, calls
        self.fed_tokens, self.shares = 0, False

    def score(
        self, groups: Sequence[Group], done: Callable[[int, list[TokenScores]], None] | None = None
    ) -> list[list[TokenScores]]:
        """Score groups; ``done`` gets each group's index and scores as soon as its call is over.

        Raises:
            LanguageProblem: vLLM failed.
        """
        results: list[list[TokenScores]] = []
        for part in _parts(groups, self.batches.size, lambda group: len(group.sequences)):
            # The choices of one token share all but it, and some are asked twice: each sequence is fed once.
            unique = list(dict.fromkeys(sequence for group in part for sequence in group.sequences))
            replies = dict(zip(unique, _asked(self._engine, unique, [_SCORED] * len(unique)), strict=True))
            self.fed_tokens += sum(map(len, unique))
            for group in part:
                scores = [
                    _from(replies[sequence], start)
                    for sequence, start in zip(group.sequences, group.starts, strict=True)
                ]
                results.append(scores)
                if done is not None:
                    done(len(results) - 1, scores)
        return results


class EngineWriter:
    """Writes text after prompts.

    Args:
        engine: that is asked.
        tokenizer: of transformers, for the model.
        calls: how prompts are put together.
        options: of the generation, in the names of transformers.
        defaults: the model's own ``generation_config``.
    """

    def __init__(
        self, engine: VllmEngine, tokenizer: Any, calls: Calls, options: Mapping[str, Any], defaults: Any
    ) -> None:
        self._engine, self._tokenizer, self.batches, self._defaults = engine, tokenizer, calls, defaults
        self._sampling = VllmSampling(options, defaults, tokenizer.eos_token_id)
        self.continuous: bool | None = True  # as vLLM always does

    def with_options(self, options: Mapping[str, Any]) -> EngineWriter:
        """Return a writer of the same model with other options."""
        return EngineWriter(self._engine, self._tokenizer, self.batches, options, self._defaults)

    def generate(
        self, requests: Sequence[Request], done: Callable[[int, WrittenText], None] | None = None
    ) -> list[WrittenText]:
        """Return what was written to each request; ``done`` gets each one as soon as its call is over.

        Raises:
            LanguageProblem: vLLM failed.
        """
        results: list[WrittenText] = []
        for part in _parts(requests, self.batches.size, lambda _: 1):
            for text in self._written(part):
                results.append(text)
                if done is not None:
                    done(len(results) - 1, text)
        return results

    def _written(self, requests: Sequence[Request]) -> list[WrittenText]:
        # Where a thought has begun already, a stop string may stand in it.
        replies = self._replies(requests, [not (request.begun and request.marks) for request in requests])
        # vLLM knows no thoughts: a text that it ended inside one is written again without stop strings, and cut here.
        again = [
            number
            for number, (request, reply) in enumerate(zip(requests, replies, strict=True))
            if isinstance(reply.stop, str) and self._stop_place(reply.tokens, request) is None
        ]
        if again:
            whole = self._replies([requests[number] for number in again], [False] * len(again))
            for number, reply in zip(again, whole, strict=True):
                replies[number] = reply
        return [self._text(request, reply) for request, reply in zip(requests, replies, strict=True)]

    def _replies(self, requests: Sequence[Request], stopped: Sequence[bool]) -> list[Reply]:
        parameters = []
        for request, stops in zip(requests, stopped, strict=True):
            own = {
                **self._sampling.parameters,
                "max_tokens": request.max_out_len,
                "skip_special_tokens": False,
            }
            own["min_tokens"] = min(own.get("min_tokens", 0), request.max_out_len)
            if stops and request.stop:
                own["stop"] = [stop for stop in request.stop if stop]
            if self._sampling.is_drawn:
                own["seed"] = request.seed % _SEEDS
            parameters.append(own)
        return _asked(self._engine, [request.tokens for request in requests], parameters)

    def _text(self, request: Request, reply: Reply) -> WrittenText:
        tokens, ends = reply.tokens[: request.max_out_len], self._sampling.ends
        end = next((place for place, token in enumerate(tokens) if token in ends), len(tokens))
        kept = self._until_stop(tokens[:end], request)
        return written(
            readable(self._tokenizer, kept, request.marks), stops=request.stop, marks=request.marks,
            begun=request.begun, cut=len(kept) == len(tokens) and reply.finish == "length",
        )  # fmt: skip

    def _until_stop(self, tokens: Tokens, request: Request) -> Tokens:
        """Return tokens up to the one with which a stop string is complete; it may be a token that no reader sees."""
        if self._stop_place(tokens, request) is None:
            return tokens
        low, high = 1, len(tokens)
        while low < high:
            middle = (low + high) // 2
            if self._stop_place(tokens[:middle], request) is None:
                low = middle + 1
            else:
                high = middle
        return tokens[:low]

    def _stop_place(self, tokens: Tokens, request: Request) -> int | None:
        if not request.stop:
            return None
        text = self._tokenizer.decode(list(tokens), skip_special_tokens=False)
        return stop_place(text, request.stop, request.marks, request.begun)


def _asked(engine: VllmEngine, prompts: Sequence[Tokens], parameters: Sequence[Arguments]) -> list[Reply]:
    try:
        return engine.ask(prompts, parameters)
    except Exception as error:  # vLLM raises anything
        raise LanguageProblem(
            "inference_failed",
            f"found a failure of vLLM ({type(error).__name__}: {error}), expected replies to {len(prompts)} prompts; "
            "remove its cause, or use --backend hf",
        ) from error


def _from(reply: Reply, start: int) -> TokenScores:
    scores = reply.scores[start - 1 :]
    return TokenScores([value for value, _ in scores], all(greedy for _, greedy in scores))


def _parts(items: Sequence[Item], size: int, weight: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Yield items in their order, in parts of at most a weight, of one item at least."""
    part: list[Item] = []
    total = 0
    for item in items:
        if part and total + weight(item) > size:
            yield part
            part, total = [], 0
        part.append(item)
        total += weight(item)
    if part:
        yield part
