"""Asks a model the requests of tasks: log-likelihoods of continuations and of whole texts, and new text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from bench.core.errors import LanguageProblem
from bench.language.backend import Backend, LocalBackend, ScoreDone, ScoresDone, TextDone, text_seed
from bench.language.chat import Marks, WrittenText
from bench.language.engine.asked import TokenWriter
from bench.language.harness.tasks import ChatTemplate, Document
from bench.language.models.config import ModelConfig
from bench.language.record import Usage
from bench.language.server.backend import ServerBackend
from bench.language.server.client import CompletionServer

_USUAL_LENGTH = 256
_CHUNK = 16  # answers between two writes of predictions
Answered = Callable[[Document, list[list[Any]]], None]
"""Takes a document and its answers: for each request a list with as many answers as it has repeats."""


class HarnessModel(Protocol):
    """A model as the requests of lm-evaluation-harness need it: prompts are complete and are read as they are."""

    max_len: int | None

    def score_continuations(
        self, contexts: Sequence[str], choices: Sequence[Sequence[str]], done: ScoresDone
    ) -> None:
        """Score the choices of each context."""

    def score_rolling(self, texts: Sequence[str], done: ScoreDone) -> None:
        """Score all tokens of each text."""

    def write(
        self, prompts: Sequence[str], length: int, stop: Sequence[str], options: Mapping[str, Any],
        seeds: Sequence[int], done: TextDone,
    ) -> None:  # fmt: skip
        """Write text after each prompt, with these options of generation."""

    def chat_template(self) -> ChatTemplate | None:
        """Return what makes a prompt of messages; None for a base model."""

    def usage(self) -> Usage:
        """Return what the model has done since it was loaded."""


class LocalHarnessModel(LocalBackend):
    """A model of transformers in this process, whose prompts are tokenized and cut as lm-evaluation-harness does.

    Args:
        backend: the model.
    """

    def __init__(self, backend: LocalBackend) -> None:
        vars(self).update(vars(backend))
        self._is_chat, self._chat = self._chat, False
        begin = self._tokenizer.decode([self._beginning()])
        self._begins_with: str = begin or "\0"
        self._generators: dict[str, TokenWriter] = {}
        self._most: int | None = None

    def _encode(self, texts: Sequence[str], special: bool | None = None) -> list[list[int]]:
        """Return token ids; a text that begins with the start token gets no second one."""
        if special is not None:
            return self._cut_to_most(super()._encode(texts, special))
        begun = [text.startswith(self._begins_with) for text in texts]
        parts = {
            is_begun: iter(
                super(LocalHarnessModel, self)._encode(
                    [text for text, own in zip(texts, begun, strict=True) if own is is_begun], not is_begun
                )
            )
            for is_begun in (True, False)
        }
        return self._cut_to_most([next(parts[is_begun]) for is_begun in begun])

    def _cut_to_most(self, encoded: list[list[int]]) -> list[list[int]]:
        """Return tokens without the beginning of what is longer than a prompt may be now."""
        if self._most is None:
            return encoded
        self._cut += sum(len(tokens) > self._most for tokens in encoded)
        return [tokens[-self._most :] for tokens in encoded]

    def _rolling_tokens(self, texts: Sequence[str], special: bool) -> list[list[int]]:
        """Return the tokens of whole texts; lm-evaluation-harness scores the tokenizer's own start token as well."""
        return self._encode(texts)

    def write(
        self, prompts: Sequence[str], length: int, stop: Sequence[str], options: Mapping[str, Any],
        seeds: Sequence[int], done: TextDone,
    ) -> None:  # fmt: skip
        """Write text after prompts; a prompt that leaves too little room loses its beginning.

        Raises:
            LanguageProblem: an answer that may be as long as everything that the model can read.
        """
        if length >= self._reads:
            raise LanguageProblem(
                "inference_failed",
                f"found up to {length} new tokens asked of a model that reads {self._reads}, expected room for the prompt; "
                "give --max-out-len, or use a model that reads more",
            )
        own = self._generator
        self._generator, self._most = self._with(options), self._reads - length
        try:
            self.generate(prompts, length, stop, seeds, done)
        finally:
            self._generator, self._most = own, None

    def chat_template(self) -> ChatTemplate | None:
        """Return what makes a prompt of messages; None for a base model."""
        return self.templated if self._is_chat else None

    def templated(self, messages: Sequence[Mapping[str, str]], add_generation_prompt: bool = True) -> str:
        """Return messages in the tokenizer's template, without the system message where the template refuses one."""
        import jinja2  # noqa: PLC0415

        try:
            return self._templated(messages, add_generation_prompt)
        except jinja2.TemplateError:
            spoken = [message for message in messages if message["role"] != "system"]
            return self._templated(spoken, add_generation_prompt)

    def _templated(self, messages: Sequence[Mapping[str, str]], add_generation_prompt: bool) -> str:
        text: str = self._tokenizer.apply_chat_template(
            [dict(message) for message in messages],
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
            **self._loaded.config.chat_template_kwargs,
        )
        return text

    def _with(self, options: Mapping[str, Any]) -> TokenWriter:
        """Return what writes with these options; what ran out of memory once is not tried again."""
        key = repr(sorted(options.items()))
        if key not in self._generators:
            self._generators[key] = self._generator.with_options(options)
        return self._generators[key]


class ServerHarnessModel:
    """A model behind a server.

    Args:
        config: names the server and the model.
        concurrency: parallel requests.
    """

    def __init__(self, config: ModelConfig, concurrency: int) -> None:
        self._config, self._concurrency = config, concurrency
        self.max_len = config.max_seq_len

    def score_continuations(
        self, contexts: Sequence[str], choices: Sequence[Sequence[str]], done: ScoresDone
    ) -> None:
        """Score the choices of each context.

        Raises:
            LanguageProblem: a chat model: a server shows no log-likelihoods of an answer in a conversation.
        """
        if self._config.type == "chat":
            raise LanguageProblem(
                "inference_failed",
                "found a chat model behind a server, expected a base model: a server gives no log-likelihoods of given "
                "answers in a conversation; ask it with --hf-type base, load it by --hf-path, or run tasks that generate",
            )
        self._with({}).score_continuations(contexts, choices, done)

    def score_rolling(self, texts: Sequence[str], done: ScoreDone) -> None:
        """Score all tokens of each text."""
        self._with({}).score_rolling(texts, done)

    def write(
        self, prompts: Sequence[str], length: int, stop: Sequence[str], options: Mapping[str, Any],
        seeds: Sequence[int], done: TextDone,
    ) -> None:  # fmt: skip
        """Write text after prompts, or answers to conversations."""
        asked = {key: value for key, value in options.items() if key != "do_sample"}
        if self._config.type != "chat":
            self._with(asked).generate(prompts, length, stop, seeds, done)
            return
        temperature = float(asked.pop("temperature", 0.0))
        marks = Marks(*self._config.think_marks) if self._config.think_marks else None
        assert self._config.api_base is not None
        server = CompletionServer(
            self._config.api_base, self._config.path, concurrency=self._concurrency, request_kwargs=asked
        )
        # Each sampled answer has a seed of its own.
        size = 1 if temperature > 0 else _CHUNK
        for first in range(0, len(prompts), size):
            chosen = [json.loads(prompt) for prompt in prompts[first : first + size]]
            seed = seeds[first] % 2**31 if temperature > 0 else None
            texts = server.chat(
                chosen, length, stop, temperature, seed, marks, self._config.chat_template_kwargs
            )
            for index, text in enumerate(texts, first):
                done(index, text)

    def chat_template(self) -> ChatTemplate | None:
        """Return what writes messages down for the server, which has the template; None for a base model."""
        if self._config.type != "chat":
            return None

        def written(messages: Sequence[Mapping[str, str]], add_generation_prompt: bool = True) -> str:
            return json.dumps([dict(message) for message in messages], ensure_ascii=False)

        return written

    def usage(self) -> Usage:
        """Return nothing known: the server does the work."""
        return Usage()

    def _with(self, options: Mapping[str, Any]) -> ServerBackend:
        return ServerBackend(replace(self._config, generation_kwargs=dict(options)), self._concurrency)


# One for each backend, for as long as that is in memory.
_MODELS: WeakKeyDictionary[Backend, HarnessModel] = WeakKeyDictionary()


def harness_model(backend: Backend, config: ModelConfig, concurrency: int) -> HarnessModel:
    """Return a backend in the form that tasks ask.

    Args:
        backend: the model.
        config: what it was loaded from.
        concurrency: parallel requests to a server.
    """
    if backend not in _MODELS:
        _MODELS[backend] = (
            LocalHarnessModel(backend)
            if isinstance(backend, LocalBackend)
            else ServerHarnessModel(config, concurrency)
        )
    return _MODELS[backend]


def ask(
    left: Sequence[Document], model: HarnessModel, config: ModelConfig, seed: int, answered: Answered
) -> None:
    """Ask all requests of documents; each document is passed on as soon as its last answer is known.

    Args:
        left: what is asked.
        model: that is asked.
        config: its generation arguments, and its length of an answer, replace those of the tasks.
        seed: of the run, for sampling.
        answered: takes each document with its answers.
    """
    _Asking(left, model, config, seed, answered).run()


class _Asking:
    def __init__(
        self,
        left: Sequence[Document],
        model: HarnessModel,
        config: ModelConfig,
        seed: int,
        answered: Answered,
    ) -> None:
        self._left, self._model, self._config, self._seed = left, model, config, seed
        self._answered = answered
        self._answers: list[list[list[Any]]] = [[[] for _ in document.requests] for document in left]
        self._open = [sum(request.repeats for request in document.requests) for document in left]

    def run(self) -> None:
        self._score_continuations()
        self._score_rolling()
        self._write()

    def _of_type(self, kind: str) -> list[tuple[int, int, Any]]:
        return [
            (number, place, request)
            for number, document in enumerate(self._left)
            for place, request in enumerate(document.requests)
            if request.request_type == kind
        ]

    def _keep(self, number: int, place: int, answer: Any, times: int = 1) -> None:
        self._answers[number][place] += [answer] * times
        self._open[number] -= times
        if not self._open[number]:
            self._answered(self._left[number], self._answers[number])

    def _score_continuations(self) -> None:
        """Score the continuations of one context together: what they share is computed once."""
        groups: dict[tuple[int, str], list[tuple[int, Any]]] = {}
        for number, place, request in self._of_type("loglikelihood"):
            groups.setdefault((number, request.args[0]), []).append((place, request))
        owners = list(groups.items())

        def keep(index: int, scores: Sequence[Any]) -> None:
            (number, _), requests = owners[index]
            for (place, request), score in zip(requests, scores, strict=True):
                self._keep(number, place, [score.loglikelihood, score.is_greedy], request.repeats)

        if owners:
            self._model.score_continuations(
                [context for (_, context), _ in owners],
                [[request.args[1] for _, request in requests] for _, requests in owners],
                keep,
            )

    def _score_rolling(self) -> None:
        asked = self._of_type("loglikelihood_rolling")

        def keep(index: int, score: Any) -> None:
            number, place, request = asked[index]
            self._keep(number, place, score.loglikelihood, request.repeats)

        if asked:
            self._model.score_rolling([request.args[0] for _, _, request in asked], keep)

    def _write(self) -> None:
        batches: dict[str, tuple[dict[str, Any], list[tuple[int, int, int, Any]]]] = {}
        for number, place, request in self._of_type("generate_until"):
            options = generation(request.args[1], self._config)
            batch = batches.setdefault(repr(sorted(options.items(), key=str)), (options, []))[1]
            batch += [(number, place, repeat, request) for repeat in range(request.repeats)]
        for options, asked in batches.values():
            self._write_alike(options, asked)

    def _write_alike(self, options: dict[str, Any], asked: Sequence[tuple[int, int, int, Any]]) -> None:
        """Write the answers to requests with the same options."""
        length, stop = options.pop("length"), options.pop("stop")
        seeds = [
            text_seed(self._seed, f"{self._left[number].key}.{place}.{repeat}")
            for number, place, repeat, _ in asked
        ]

        def keep(index: int, text: WrittenText) -> None:
            number, place, _, _ = asked[index]
            self._keep(number, place, text)

        self._model.write([request.args[0] for *_, request in asked], length, stop, options, seeds, keep)


def generation(given: Mapping[str, Any], config: ModelConfig) -> dict[str, Any]:
    """Return the arguments of a generation: ``length``, ``stop``, and options of sampling.

    Args:
        given: a request's own, in the names of lm-evaluation-harness.
        config: its arguments come first, as with ``--gen_kwargs`` there.
    """
    from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs  # noqa: PLC0415

    found: dict[str, Any] = dict(normalize_gen_kwargs({**given, **config.generation_kwargs}, _USUAL_LENGTH))
    stop = effective_stops(handle_stop_sequences(found.pop("until", None), eos=None))
    length = config.max_out_len or int(found.pop("max_gen_toks"))
    found.pop("max_gen_toks", None)
    if not found.get("do_sample"):
        for idle in ("temperature", "top_p", "top_k", "min_p", "do_sample"):
            found.pop(idle, None)
    return {"length": length, "stop": tuple(stop), **found}


def effective_stops(stops: Sequence[str]) -> list[str]:
    """Return the stop strings that can end a text where one after the other is applied.

    One that holds an earlier one never acts: the text was cut inside of it before.
    """
    kept: list[str] = []
    for stop in stops:
        if stop and not any(earlier in stop for earlier in kept):
            kept.append(stop)
    return kept
