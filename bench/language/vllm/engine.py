"""vLLM's own objects behind one plain question: token ids and parameters in, tokens and log-probabilities out.

The facts of its interface are those of its class ``LLM`` for offline inference: prompts as ``TokensPrompt``, one
``SamplingParams`` for each, and ``RequestOutput`` in the order of the prompts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Arguments = Mapping[str, Any]
Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What an engine says of itself once it is loaded.

    Attributes:
        reads: tokens of prompt and answer together.
        dtype: of its weights, such as ``bfloat16``.
    """

    reads: int
    dtype: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What vLLM did with one prompt. Plain values, since it may come from another process.

    Attributes:
        tokens: that were written; the one that ended the text included.
        finish: ``stop`` or ``length``.
        stop: the string or token that ended the text; None for the end token or the limit.
        scores: of each token of the prompt but the first: log-probability in nats, and whether it was the most likely.
            Empty where they were not asked for.
    """

    tokens: Tokens
    finish: str | None
    stop: str | int | None
    scores: tuple[tuple[float, bool], ...] = ()


class VllmEngine(Protocol):
    """Something that answers prompts."""

    facts: Facts

    def ask(self, prompts: Sequence[Tokens], parameters: Sequence[Arguments]) -> list[Reply]:
        """Return the reply to each prompt.

        Args:
            prompts: as token ids.
            parameters: of vLLM's ``SamplingParams``, for each prompt.
        """

    def close(self) -> None:
        """Free what it holds."""


class OneEngine:
    """One ``vllm.LLM`` in this process.

    Args:
        arguments: of its constructor.
    """

    def __init__(self, arguments: Arguments) -> None:
        import vllm  # noqa: PLC0415  not a dependency: loading.py refuses where it is missing

        self._vllm: Any = vllm
        self._llm = self._vllm.LLM(**arguments)
        self.facts = _facts(self._llm.llm_engine)

    def ask(self, prompts: Sequence[Tokens], parameters: Sequence[Arguments]) -> list[Reply]:
        """Return the reply to each prompt; vLLM makes the batches."""
        asked = [self._vllm.TokensPrompt(prompt_token_ids=list(prompt)) for prompt in prompts]
        outputs = self._llm.generate(
            asked, [self._vllm.SamplingParams(**own) for own in parameters], use_tqdm=False
        )
        return [_reply(output, prompt) for output, prompt in zip(outputs, prompts, strict=True)]

    def close(self) -> None:
        """Let the engine go; it ends its own processes."""
        self._llm = None


def _facts(engine: Any) -> Facts:
    config = getattr(engine, "model_config", None)
    if config is None:
        config = engine.vllm_config.model_config
    return Facts(int(config.max_model_len), str(config.dtype).removeprefix("torch."))


def _reply(output: Any, prompt: Tokens) -> Reply:
    (text,) = output.outputs
    return Reply(
        tuple(text.token_ids), text.finish_reason, text.stop_reason, _scores(output.prompt_logprobs, prompt)
    )


def _scores(table: Sequence[Any] | None, prompt: Tokens) -> tuple[tuple[float, bool], ...]:
    """Return the scores of all tokens of a prompt but the first, which nothing predicts.

    Each place has the prompt's own token and the most likely one. A token that is as likely as the most likely one is
    greedy, as with transformers; vLLM's `rank` counts such ties against it.
    """
    if table is None:
        return ()
    if len(table) != len(prompt):
        raise ValueError(f"{len(table)} places with log-probabilities for {len(prompt)} tokens of the prompt")
    scores = []
    for token, place in zip(prompt[1:], list(table)[1:], strict=True):
        own = float(place[token].logprob)
        scores.append((own, own >= max(float(other.logprob) for other in place.values())))
    return tuple(scores)
