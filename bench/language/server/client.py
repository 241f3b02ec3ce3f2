"""A client of servers with OpenAI's completions API: vLLM, SGLang, llama-cpp-python, hosted ones."""

from __future__ import annotations

import itertools
import math
import os
import random
import time
import urllib.parse
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import requests
import requests.adapters
import requests.auth

from bench.core.errors import ModelProblem
from bench.core.record import Json
from bench.language.engine.generating import cut_at
from bench.language.server.answers import Refused, read_answer, retry_after_s, said
from bench.language.server.echo import Echo

Item = TypeVar("Item")
Result = TypeVar("Result")

_LONGEST_WAIT_S = 60.0
_MAX_STOPS = 4  # OpenAI refuses more; the client cuts the text at all of them anyway
_TRANSIENT = (
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    requests.exceptions.ChunkedEncodingError,
)


@dataclass(frozen=True, slots=True)
class ContinuationScore:
    """The log-likelihood of a continuation given its context.

    Attributes:
        sum: natural logarithm of the probability of the whole continuation.
        tokens: the same of each of its tokens; `sum` is their sum.
        is_greedy: whether each token was the most likely one; None if the server does not say.
        token_count: tokens of the continuation.
        context_tokens: tokens before it, including a start token if the server adds one.
    """

    sum: float
    tokens: list[float]
    is_greedy: bool | None
    token_count: int
    context_tokens: int


class CompletionServer:
    """A client of ``/v1/completions`` and ``/v1/chat/completions`` that sends several requests in parallel.

    A status of 429 or 5xx, a timeout and a lost connection are tried again, after a wait that doubles or that the server
    names. Any other refusal is final.

    Args:
        base_url: for example ``http://localhost:8000/v1``; ``/v1`` is added to an address without a path.
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
        base_url: str,
        model: str,
        api_key: str | None = None,
        *,
        timeout_s: float = 300.0,
        max_retries: int = 5,
        concurrency: int = 8,
        backoff_s: float = 0.5,
        request_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.base_url, self.model = _base_url(base_url), model
        self._timeout_s, self._max_retries, self._concurrency = timeout_s, max_retries, concurrency
        self._backoff_s = backoff_s
        self._request_kwargs = dict(request_kwargs or {})
        self._session = requests.Session()
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=concurrency)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        key = os.environ.get("OPENAI_API_KEY") if api_key is None else api_key
        # As a plain header, an entry in ~/.netrc would replace it.
        self._session.auth = _Bearer(key) if key else None
        self._jitter = random.Random()  # the global generator may be seeded for a measurement
        self._least_tokens = 0  # the smallest max_tokens that this server accepts

    def generate(
        self,
        prompts: Sequence[str],
        max_out_len: int,
        stop: Sequence[str] = (),
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> list[str]:
        """Let the model continue each prompt.

        Args:
            prompts: texts.
            max_out_len: new tokens at most.
            stop: strings at which a text ends; they are not part of it.
            temperature: of sampling; 0 is greedy.
            seed: of sampling.

        Returns:
            The new text of each prompt, in order.

        Raises:
            ModelProblem: the server cannot be reached, refuses, or answers in another form.
        """
        fields = self._generation(max_out_len, stop, temperature, seed)

        def one(prompt: str) -> str:
            choice = self._choice("completions", {"prompt": prompt, **fields})
            return cut_at(_text(choice.get("text"), self._url("completions")), stop)

        return self._each(one, prompts)

    def chat(
        self,
        messages_list: Sequence[Sequence[Mapping[str, str]]],
        max_out_len: int,
        stop: Sequence[str] = (),
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> list[str]:
        """Let the model answer each conversation; the server applies its chat template.

        Args:
            messages_list: conversations of messages with ``role`` and ``content``.
            max_out_len: new tokens at most.
            stop: strings at which a text ends; they are not part of it.
            temperature: of sampling; 0 is greedy.
            seed: of sampling.

        Returns:
            The answer of each conversation, in order; empty if the model gave none in words.

        Raises:
            ModelProblem: as for :meth:`generate`.
        """
        fields = self._generation(max_out_len, stop, temperature, seed)
        url = self._url("chat/completions")

        def one(messages: Sequence[Mapping[str, str]]) -> str:
            body = {"messages": [dict(message) for message in messages], **fields}
            message = self._choice("chat/completions", body).get("message")
            if not isinstance(message, dict) or "content" not in message:
                raise ModelProblem(
                    f"{url}: found a choice with the message {message!r:.200}; expected one with content; "
                    "use a server with chat completions"
                )
            # Null is an answer: a model that was cut off while thinking has no words yet.
            return cut_at(_text(message["content"] or "", url), stop)

        return self._each(one, messages_list)

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
        return self._each(self._score, pairs)

    def whole_text(self, prompts: Sequence[str]) -> list[list[float | None]]:
        """Return the log-probability of each token of each prompt; None for a first token with nothing before it.

        Raises:
            ModelProblem: as for :meth:`loglikelihoods`.
        """
        return self._each(lambda prompt: self._echo(prompt).logprobs, prompts)

    def _score(self, pair: tuple[str, str]) -> ContinuationScore:
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
        return ContinuationScore(
            sum=math.fsum(tokens),
            tokens=tokens,
            is_greedy=echo.is_greedy(border),
            token_count=len(tokens),
            context_tokens=border,
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
            choice, usage = self._choice_and_usage("completions", {**body, "max_tokens": 1})
            self._least_tokens = least = 1
        return Echo.of(choice, usage, text, least, url)

    def _generation(
        self, max_out_len: int, stop: Sequence[str], temperature: float, seed: int | None
    ) -> Json:
        fields: Json = {"max_tokens": max_out_len, "temperature": temperature}
        if stop:
            fields["stop"] = list(stop[:_MAX_STOPS])
        if seed is not None:
            fields["seed"] = seed
        return {**fields, **self._request_kwargs}

    def _url(self, path: str) -> str:
        return f"{self.base_url}/{path}"

    def _each(self, action: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="completion")
        try:
            return list(pool.map(action, items))
        finally:
            # After a problem, requests that have not begun are dropped.
            pool.shutdown(wait=True, cancel_futures=True)

    def _choice(self, path: str, fields: Mapping[str, Any]) -> Json:
        return self._choice_and_usage(path, fields)[0]

    def _choice_and_usage(self, path: str, fields: Mapping[str, Any]) -> tuple[Json, Json]:
        """Return the only choice of an answer, and its counts of tokens if there are any."""
        url = self._url(path)
        answer = self._post(url, {"model": self.model, **fields})
        choices = answer.get("choices") if isinstance(answer, dict) else None
        if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
            found = f"{len(choices)} choices" if isinstance(choices, list) else f"{answer!r:.200}"
            raise ModelProblem(
                f"{url}: found {found}; expected one choice for one prompt; use a server with OpenAI's completions"
            )
        usage = answer.get("usage")
        return choices[0], usage if isinstance(usage, dict) else {}

    def _post(self, url: str, body: Mapping[str, Any]) -> Any:
        """Return the JSON of the answer to a request, which is posted until it is answered."""
        for tried in range(self._max_retries + 1):
            wait_s = self._backoff_s * 2**tried * self._jitter.uniform(1.0, 1.25)
            try:
                # A redirect would turn the POST into a GET.
                response = self._session.post(url, json=body, timeout=self._timeout_s, allow_redirects=False)
            except _TRANSIENT as error:
                trouble = f"{type(error).__name__}: {error}"
            except requests.exceptions.RequestException as error:
                raise ModelProblem(
                    f"{url}: no request could be made ({type(error).__name__}: {error}); "
                    "expected an address such as http://localhost:8000/v1; correct --api-base"
                ) from error
            else:
                if response.status_code != 429 and response.status_code < 500:
                    return read_answer(url, response, self.model)
                trouble = f"status {response.status_code}, {said(response)}"
                wait_s = max(wait_s, retry_after_s(response.headers.get("Retry-After")))
            if tried < self._max_retries:
                time.sleep(min(wait_s, _LONGEST_WAIT_S))
        raise ModelProblem(
            f"{url}: no answer in {self._max_retries + 1} tries (the last: {trouble}); "
            "expected a server that answers; start it, lower --api-concurrency, or correct --api-base"
        )


class _Bearer(requests.auth.AuthBase):
    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many tokens two lists share from their start."""
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return sum(1 for _ in same)


def _text(value: Any, url: str) -> str:
    if not isinstance(value, str):
        raise ModelProblem(
            f"{url}: found {value!r:.200} as the text of a choice; expected a string; use a server with OpenAI's completions"
        )
    return value


def _base_url(address: str) -> str:
    parts = urllib.parse.urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ModelProblem(
            f"--api-base {address}: found no http or https address; expected one such as "
            "http://localhost:8000/v1; correct it"
        )
    base = address.rstrip("/").removesuffix("/completions").removesuffix("/chat")
    return base if urllib.parse.urlsplit(base).path else f"{base}/v1"
