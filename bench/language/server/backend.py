"""A completion server as a backend. The server tokenizes, so texts are split on its tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from bench.core.errors import LanguageProblem
from bench.language.backend import ScoreDone, ScoresDone, TextDone, TextScore
from bench.language.chat import ChatStyle, Conversation, Marks, Prompt, conversation_of
from bench.language.models.config import ModelConfig
from bench.language.models.sources import fingerprint
from bench.language.record import Usage
from bench.language.server.client import CompletionServer, ContinuationScore
from bench.language.server.framing import ServedTemplate

Pair = tuple[str, str]
_OWN_FIELDS = {
    **dict.fromkeys(("do_sample",), "a server samples where the temperature is above 0; give temperature"),
    **dict.fromkeys(("num_beams", "num_return_sequences", "n"), "one answer is asked for; draw several by --repeats"),
    **dict.fromkeys(("max_tokens", "max_new_tokens", "max_completion_tokens"), "give --max-out-len"),
    **dict.fromkeys(("stop", "stop_strings"), "stop strings belong to the dataset"),
    **dict.fromkeys(("seed",), "give --seed"),
    **dict.fromkeys(("chat_template_kwargs",), "give --chat-template-kwargs"),
    **dict.fromkeys(("model", "prompt", "messages", "stream", "echo", "logprobs"), "the suite sets it itself; leave it out"),
}  # fmt: skip

Result = TypeVar("Result")


class ServerBackend:
    """A model behind an OpenAI-compatible server.

    Args:
        config: names the server and the model.
        concurrency: parallel requests.
        api_key: None is the environment's ``OPENAI_API_KEY``, if that is set.
    """

    def __init__(self, config: ModelConfig, concurrency: int = 8, *, api_key: str | None = None) -> None:
        options = dict(config.generation_kwargs)
        _refuse_own(options)
        self._config = config
        self._temperature = float(options.pop("temperature", 0.0))
        assert config.api_base is not None
        self._server = CompletionServer(
            config.api_base, config.path, api_key, concurrency=concurrency, request_kwargs=options
        )
        self._chat = config.type == "chat"
        self.chat = ChatStyle(config.system_prompt, config.few_shot == "turns") if self._chat else None
        self._marks = Marks(*config.think_marks) if config.think_marks else None
        self._template = ServedTemplate(config, self._server.tokens_of)
        self.fingerprint, self.dtype = fingerprint(config), "server"
        self.max_len = config.max_seq_len

    def framed(self, prompts: Sequence[Prompt]) -> list[str]:
        """Return prompts as the texts that the model reads; those of a chat need its tokenizer on this machine.

        Raises:
            LanguageProblem: a chat model whose tokenizer is not named.
        """
        if self._chat:
            return self._template.framed(prompts)
        return [prompt for prompt in prompts if isinstance(prompt, str)]

    def lengths(self, texts: Sequence[Prompt]) -> list[int]:
        """Return roughly how many tokens each text has, by the usual four characters a token: the server does not say."""
        return [sum(map(len, _contents(text))) // 4 for text in texts]

    def score_continuations(
        self, contexts: Sequence[Prompt], choices: Sequence[Sequence[str]], done: ScoresDone
    ) -> None:
        """Score the choices of each context."""

        def score(pair: Pair) -> TextScore:
            s = self._server.score(pair)
            return TextScore(s.sum, s.token_count, s.token_count + s.context_tokens, s.is_greedy)

        self._by_question(score, self._pairs(contexts, choices), done)

    def _pairs(self, contexts: Sequence[Prompt], choices: Sequence[Sequence[str]]) -> list[list[Pair]]:
        """Return each context with each of its choices, as texts that the server reads."""
        pairs = []
        for text, own in zip(self.framed(contexts), choices, strict=True):
            # A blank belongs to the token after it, as with a local model.
            bare = text.rstrip() if self._chat else text
            pairs.append([(bare, text[len(bare) :] + (c.lstrip() if self._chat else c)) for c in own])
        return pairs

    def score_texts(self, texts: Sequence[Sequence[str]], masked: Sequence[str], done: ScoresDone) -> None:
        """Score whole texts, except for a masked beginning."""

        def score(pair: tuple[str, str]) -> TextScore:
            mask, text = pair
            # A text without a mask is scored from its second token on: nothing predicts the first one.
            return _masked(self._server.score(pair)) if mask else _unmasked(self._server.logprobs(text))

        pairs = [
            [(mask, text.removeprefix(mask)) for text in group]
            for mask, group in zip(masked, texts, strict=True)
        ]
        self._by_question(score, pairs, done)

    def score_first_tokens(
        self, contexts: Sequence[Prompt], choices: Sequence[Sequence[str]], done: ScoresDone
    ) -> None:
        """Score the first token of each choice. The server shows it once the whole choice is scored.

        Raises:
            LanguageProblem: two choices that begin with the same token.
        """

        def first(index: int, scores: list[ContinuationScore]) -> None:
            if len({score.first for score in scores}) < len(scores):
                raise LanguageProblem(
                    "inference_failed",
                    f"found choices {list(choices[index])} of which two begin with the same token, expected different first "
                    "tokens; infer by log-likelihood instead",
                )
            done(index, [TextScore(s.tokens[0], 1, s.context_tokens + 1) for s in scores])

        self._by_question(self._server.score, self._pairs(contexts, choices), first)

    def score_rolling(self, texts: Sequence[str], done: ScoreDone, special: bool = False) -> None:
        """Score all tokens of texts; the server refuses a text that it cannot read in one piece, and adds what it adds."""
        self._server.each(lambda text: _unmasked(self._server.logprobs(text)), texts, done)

    def generate(
        self,
        prompts: Sequence[Prompt],
        max_out_len: int,
        stop: Sequence[str],
        seeds: Sequence[int],
        done: TextDone,
    ) -> None:
        """Write text after prompts; a seed is sent only for sampling."""
        seed = [own % 2**31 for own in seeds] if self._temperature > 0 else None
        if self._chat:
            system = self._config.system_prompt
            messages = [conversation_of(prompt, system).messages() for prompt in prompts]
            self._server.chat(
                messages, max_out_len, stop, self._temperature, seed, self._marks,
                self._config.chat_template_kwargs, done, self._template.begins_thought(self._marks),
            )  # fmt: skip
        else:
            plain = self.framed(prompts)
            self._server.generate(plain, max_out_len, stop, self._temperature, seed, self._marks, done)

    def _by_question(
        self, score: Callable[[Pair], Result], pairs: Sequence[Sequence[Pair]],
        done: Callable[[int, list[Result]], None],
    ) -> None:  # fmt: skip
        """Score the texts of all questions in parallel; a question is done when the last of its texts is."""
        places = [(index, place) for index, own in enumerate(pairs) for place in range(len(own))]
        scores: list[dict[int, Result]] = [{} for _ in pairs]

        def keep(number: int, found: Result) -> None:
            index, place = places[number]
            scores[index][place] = found
            if len(scores[index]) == len(pairs[index]):
                done(index, [scores[index][each] for each in range(len(pairs[index]))])

        self._server.each(score, [pairs[index][place] for index, place in places], keep)

    def usage(self) -> Usage:
        """Return how prompts began; of all else nothing is known: the server does the work."""
        return Usage(repeated_starts=self._template.repeated_starts or None)


def _contents(prompt: Prompt) -> list[str]:
    return [content for _, content in prompt.turns] if isinstance(prompt, Conversation) else [prompt]


def _refuse_own(options: Mapping[str, Any]) -> None:
    """Refuse fields that the suite sets itself, and arguments of transformers, which a server would ignore.

    Raises:
        LanguageProblem: with what to do in its place.
    """
    for name, advice in _OWN_FIELDS.items():
        if name in options:
            raise LanguageProblem(
                "inference_failed",
                f"--generation-kwargs: found {name}={options[name]!r} for a server; {advice}",
            )


def _masked(score: ContinuationScore) -> TextScore:
    return TextScore(score.sum, score.token_count, score.token_count, score.is_greedy)


def _unmasked(tokens: Sequence[float | None]) -> TextScore:
    scored = [value for value in tokens if value is not None]
    return TextScore(math.fsum(scored), len(scored), len(tokens))
