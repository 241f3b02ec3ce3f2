"""A client of servers with OpenAI's completions API: vLLM, SGLang, llama-cpp-python, hosted ones."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bench.core.errors import ModelProblem
from bench.core.record import Json
from bench.language.chat import Marks, WrittenText, written
from bench.language.server.answers import Refused
from bench.language.server.echo import Echo
from bench.language.server.messages import Spoken, message_of, said_in
from bench.language.server.parallel import in_parallel
from bench.language.server.transport import Transport, base_url

Item = TypeVar("Item")
Result = TypeVar("Result")

_CUT = (
    "length",
    "max_tokens",
    "max_length",
    "model_length",
    "max_new_tokens",
    "time_limit",
    "content_filter",
)
_BROKEN = ("error", "abort", "cancelled")
_MAX_STOPS = 4  # OpenAI refuses more; the client cuts the text at all of them anyway


@dataclass(frozen=True, slots=True)
class ContinuationScore:
    """The log-likelihood of a continuation given its context.

    Attributes:
        sum: natural logarithm of the probability of the whole continuation.
        tokens: the same of each of its tokens; `sum` is their sum.
        is_greedy: whether each token was the most likely one; None if the server does not say.
        token_count: tokens of the continuation.
        context_tokens: tokens before it, including a start token if the server adds one.
        first: text of its first token, as the server writes it.
    """

    sum: float
    tokens: list[float]
    is_greedy: bool | None
    token_count: int
    context_tokens: int
    first: str = ""


class CompletionServer:
    """A client of ``/v1/completions`` and ``/v1/chat/completions`` that sends several requests in parallel.

    A status of 408, 425, 429 or 5xx, a timeout and a lost connection are tried again, after a wait that doubles or that the
    server names. Any other refusal is final. Connections are kept and used again.

    Args:
        address: for example ``http://localhost:8000/v1``; ``/v1`` is added to an address without a path.
        model: the name by which the server knows the model.
        api_key: sent as bearer token. None is the environment's ``OPENAI_API_KEY``, if that is set.
        timeout_s: seconds until an answer begins, per try.
        max_retries: further tries of a failed request.
        concurrency: parallel requests.
        backoff_s: seconds before the second try; each further wait is twice as long, up to a minute.
        request_kwargs: further fields of each request for generation: ``{"top_p": 0.9}``.

    Raises:
        ModelProblem: from the constructor, for an address that is not an http or https URL.
    """

    def __init__(
        self,
        address: str,
        model: str,
        api_key: str | None = None,
        *,
        timeout_s: float = 300.0,
        max_retries: int = 5,
        concurrency: int = 8,
        backoff_s: float = 0.5,
        request_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.base_url, self.model = base_url(address), model
        self._concurrency = concurrency
        self._request_kwargs = dict(request_kwargs or {})
        self._transport = Transport(
            api_key,
            timeout_s=timeout_s,
            max_retries=max_retries,
            connections=concurrency,
            backoff_s=backoff_s,
        )
        self._limit_field = "max_tokens"  # some servers want another name
        self._least_tokens = 0  # the smallest max_tokens that this server accepts

    def generate(
        self,
        prompts: Sequence[str],
        max_out_len: int,
        stop: Sequence[str] = (),
        temperature: float = 0.0,
        seed: int | Sequence[int] | None = None,
        marks: Marks | None = None,
        done: Callable[[int, WrittenText], None] | None = None,
    ) -> list[WrittenText]:
        """Let the model continue each prompt.

        Args:
            prompts: texts.
            max_out_len: new tokens at most.
            stop: strings at which a text ends; they are not part of it. A text that the server ended inside a thought is
                asked for again without them.
            temperature: of sampling; 0 is greedy.
            seed: of sampling, one for all prompts or one for each.
            marks: of thoughts.
            done: takes the index and the text of each prompt as it arrives.

        Returns:
            The new text of each prompt, in order.

        Raises:
            ModelProblem: the server cannot be reached, refuses, or answers in another form.
        """
        fields = self._generation(max_out_len, stop, temperature)

        def one(asked: tuple[str, int | None]) -> WrittenText:
            prompt, own_seed = asked
            body = {"prompt": prompt, **_seeded(own_seed), **fields}
            begun = marks is not None and prompt.rstrip().endswith(marks.opening)

            def ask() -> WrittenText:
                choice = self._written("completions", body)
                said = said_in(choice.get("text"), self._url("completions"))
                return _as_written(said, stops=stop, marks=marks, begun=begun, cut=_is_cut(choice))

            text = ask()
            if text.unclosed and stop and not text.cut:
                body.pop("stop", None)
                text = ask()
            return text

        return self.each(one, _with_seeds(prompts, seed), done)

    def chat(
        self,
        messages_list: Sequence[Sequence[Mapping[str, str]]],
        max_out_len: int,
        stop: Sequence[str] = (),
        temperature: float = 0.0,
        seed: int | Sequence[int] | None = None,
        marks: Marks | None = None,
        template: Mapping[str, Any] | None = None,
        done: Callable[[int, WrittenText], None] | None = None,
        begun: bool = False,
    ) -> list[WrittenText]:
        """Let the model answer each conversation; the server applies its chat template.

        A thought is in the text, among the parts of a content, or in a field of its own, ``reasoning_content`` or
        ``reasoning``. A server cannot tell a stop string inside a thought from one after it: where there are marks, it gets
        none, and texts are cut here.

        Args:
            messages_list: conversations of messages with ``role`` and ``content``.
            max_out_len: new tokens at most.
            stop: strings at which a text ends; they are not part of it.
            temperature: of sampling; 0 is greedy.
            seed: of sampling, one for all conversations or one for each.
            marks: of thoughts.
            template: variables of the chat template.
            done: takes the index and the answer of each conversation as it arrives.
            begun: whether the template ends inside a thought, so that texts have no opening mark.

        Returns:
            The answer of each conversation, in order; empty if the model gave none in words.

        Raises:
            ModelProblem: as for :meth:`generate`.
        """
        fields = self._generation(max_out_len, stop if marks is None else (), temperature)
        if template:
            fields["chat_template_kwargs"] = dict(template)
        url = self._url("chat/completions")

        def one(asked: tuple[Sequence[Mapping[str, str]], int | None]) -> WrittenText:
            messages, own_seed = asked
            body = {"messages": [dict(message) for message in messages], **_seeded(own_seed), **fields}
            choice = self._written("chat/completions", body)
            said = message_of(choice.get("message"), url)
            return _as_written(said, stops=stop, marks=marks, begun=begun, cut=_is_cut(choice))

        return self.each(one, _with_seeds(messages_list, seed), done)

    def loglikelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[ContinuationScore]:
        """Score each continuation given its context, both as one text that the server tokenizes.

        A token across the border of the two belongs to the continuation.

        Args:
            pairs: contexts and continuations; the separating space is at the start of the continuation.

        Returns:
            The score of each pair, in order.

        Raises:
            ModelProblem: as for :meth:`generate`; also a server that gives no log-probabilities of the prompt, or none of
                a continuation's first token because nothing is before it.
        """
        return self.each(self.score, pairs)

    def tokens_of(self, text: str) -> list[str]:
        """Return the tokens that the server makes of a text, as it writes them.

        Raises:
            ModelProblem: as for :meth:`loglikelihoods`.
        """
        return self._echo(text).tokens

    def whole_text(self, prompts: Sequence[str]) -> list[list[float | None]]:
        """Return the log-probability of each token of each prompt; None for a first token with nothing before it.

        Raises:
            ModelProblem: as for :meth:`loglikelihoods`.
        """
        return self.each(self.logprobs, prompts)

    def logprobs(self, prompt: str) -> list[float | None]:
        """Return what `whole_text` does for one prompt."""
        return self._echo(prompt).logprobs

    def score(self, pair: tuple[str, str]) -> ContinuationScore:
        """Return what `loglikelihoods` does for one context and continuation."""
        context, continuation = pair
        echo = self._echo(context + continuation)
        border = echo.border(len(context))
        if border is None:
            # Wrong offsets say nothing. The tokens that the context has alone are before the border.
            alone = self._echo(context).tokens if context else []
            border = _common(alone, echo.tokens)
        logprobs = echo.logprobs[border:]
        tokens = [logprob for logprob in logprobs if logprob is not None]
        if len(tokens) < len(logprobs):
            raise ModelProblem(
                f"{self._url('completions')}: found no log-probability of the first token of {continuation!r:.80}, since "
                "nothing is before it; expected a context; give one, or use a model whose tokenizer adds a start token"
            )
        if not tokens and continuation.strip():
            raise ModelProblem(
                f"{self._url('completions')}: found no token of {continuation!r:.80} among {echo.tokens!r:.200}; "
                "expected the tokens of the whole prompt with their texts; use a server that gives them, such as vLLM, or "
                "evaluate by generation"
            )
        return ContinuationScore(
            sum=math.fsum(tokens),
            tokens=tokens,
            is_greedy=echo.is_greedy(border),
            token_count=len(tokens),
            context_tokens=border,
            first=echo.tokens[border] if border < len(echo.tokens) else "",
        )

    def _echo(self, text: str) -> Echo:
        """Ask for the log-probabilities of a text, and for no more new tokens than the server insists on."""
        url = self._url("completions")
        least = self._least_tokens
        body: Json = {"prompt": text, "echo": True, "logprobs": 1, "max_tokens": least, "temperature": 0}
        try:
            choice, usage = self._choice_and_usage("completions", body)
        except Refused:
            if least > 0:
                raise
            try:
                choice, usage = self._choice_and_usage("completions", {**body, "max_tokens": 1})
            except Refused as refusal:
                raise ModelProblem(
                    f"{refusal}. It was asked for the log-probabilities of a prompt (echo, logprobs); where it gives "
                    "none, use one that does, such as vLLM, or a dataset with inference by generation (gen)"
                ) from refusal
            self._least_tokens = least = 1
        return Echo.of(choice, usage, text, least, url)

    def _generation(self, max_out_len: int, stop: Sequence[str], temperature: float) -> Json:
        fields: Json = {"max_tokens": max_out_len, "temperature": temperature}
        if stop:
            fields["stop"] = list(stop[:_MAX_STOPS])
        return {**fields, **self._request_kwargs}

    def _url(self, path: str) -> str:
        return f"{self.base_url}/{path}"

    def each(
        self,
        action: Callable[[Item], Result],
        items: Sequence[Item],
        done: Callable[[int, Result], None] | None = None,
    ) -> list[Result]:
        """Return the result of an action for each item, in order; as many run at a time as requests may.

        Args:
            action: makes one or more requests of this client.
            items: what to ask.
            done: takes the index and the result of each item as it arrives, in the calling thread.
        """
        found: dict[int, Result] = {}

        def keep(index: int, result: Result) -> None:
            found[index] = result
            if done is not None:
                done(index, result)

        in_parallel(action, items, self._concurrency, keep, self._transport.stopped)
        return [found[index] for index in range(len(items))]

    def _written(self, path: str, fields: Mapping[str, Any]) -> Json:
        """Return the choice of a generation. OpenAI's newer models want another name for its limit."""
        limit = fields["max_tokens"]
        others = {name: value for name, value in fields.items() if name != "max_tokens"}
        name = self._limit_field
        try:
            return self._choice_and_usage(path, {**others, name: limit})[0]
        except Refused as refusal:
            if name != "max_tokens" or not refusal.is_of_field("max_tokens"):
                raise
            choice = self._choice_and_usage(path, {**others, "max_completion_tokens": limit})[0]
            self._limit_field = "max_completion_tokens"
            return choice

    def _choice_and_usage(self, path: str, fields: Mapping[str, Any]) -> tuple[Json, Json]:
        """Return the only choice of an answer, and its counts of tokens if there are any."""
        url = self._url(path)
        answer = self._transport.post(url, {"model": self.model, **fields})
        choices = answer.get("choices") if isinstance(answer, dict) else None
        if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
            found = f"{len(choices)} choices" if isinstance(choices, list) else f"{answer!r:.200}"
            raise ModelProblem(
                f"{url}: found {found}; expected one choice for one prompt; use a server with OpenAI's completions"
            )
        usage = answer.get("usage")
        if choices[0].get("finish_reason") in _BROKEN:
            raise ModelProblem(
                f"{url}: found an answer that ended by {choices[0]['finish_reason']!r} ({choices[0]!r:.200}); expected a "
                "whole one; see the server's log, then go on with --reuse latest"
            )
        return choices[0], usage if isinstance(usage, dict) else {}


def _seeded(seed: int | None) -> Json:
    return {} if seed is None else {"seed": seed}


def _with_seeds(items: Sequence[Item], seed: int | Sequence[int] | None) -> list[tuple[Item, int | None]]:
    seeds = [seed] * len(items) if seed is None or isinstance(seed, int) else seed
    return list(zip(items, seeds, strict=True))


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many tokens two lists share from their start."""
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return sum(1 for _ in same)


def _is_cut(choice: Mapping[str, Any]) -> bool:
    """Return whether something else than the model ended a text. Servers have several words for it."""
    return any(str(choice.get(name)).lower() in _CUT for name in ("finish_reason", "stop_reason"))


def _as_written(
    said: Spoken, *, stops: Sequence[str], marks: Marks | None, begun: bool, cut: bool
) -> WrittenText:
    """Return what was said as :func:`bench.language.chat.written` does, with the thought that was kept apart."""
    # A thought that is kept apart is not in the text, wherever it began.
    inside = begun and said.thought is None
    text = written(said.answer, stops=stops, marks=marks, begun=inside, cut=cut)
    if said.thought is None:
        return text
    thought = said.thought if text.thought is None else f"{said.thought}\n{text.thought}"
    return WrittenText(text, thought, text.unclosed or not text.strip(), text.cut)
