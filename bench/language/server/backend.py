"""A completion server as a backend. The server tokenizes, so texts are split on its tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from bench.core.errors import LanguageProblem
from bench.language.backend import ScoreDone, ScoresDone, TextDone, TextScore
from bench.language.models.config import ModelConfig
from bench.language.models.sources import fingerprint
from bench.language.record import Usage
from bench.language.server.client import CompletionServer, ContinuationScore

Pair = tuple[str, str]


class ServerBackend:
    """A model behind an OpenAI-compatible server.

    Args:
        config: names the server and the model.
        concurrency: parallel requests.
    """

    def __init__(self, config: ModelConfig, concurrency: int = 8) -> None:
        options = dict(config.generation_kwargs)
        self._temperature = float(options.pop("temperature", 0.0))
        assert config.api_base is not None
        self._server = CompletionServer(
            config.api_base, config.path, concurrency=concurrency, request_kwargs=options
        )
        self._chat = config.type == "chat"
        self.fingerprint, self.dtype = fingerprint(config), "server"
        self.max_len = config.max_seq_len

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Return roughly how many tokens each text has, by the usual four characters a token: the server does not say."""
        return [len(text) // 4 for text in texts]

    def score_continuations(
        self, contexts: Sequence[str], choices: Sequence[Sequence[str]], done: ScoresDone
    ) -> None:
        """Score the choices of each context."""

        def score(pair: tuple[str, str]) -> TextScore:
            s = self._server.score(pair)
            return TextScore(s.sum, s.token_count, s.token_count + s.context_tokens, s.is_greedy)

        pairs = [
            [(context, choice) for choice in own] for context, own in zip(contexts, choices, strict=True)
        ]
        self._by_question(score, pairs, done)

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
        self, contexts: Sequence[str], choices: Sequence[Sequence[str]], done: ScoresDone
    ) -> None:
        """Refuse: a server shows where the first token of a text ends only after it has scored the whole text.

        Raises:
            LanguageProblem: always.
        """
        raise LanguageProblem(
            "inference_failed",
            "found a server, expected a local model: inference by single token needs the model's own tokens; use a dataset "
            "with inference by log-likelihood (ll) or generation (gen)",
        )

    def score_rolling(self, texts: Sequence[str], done: ScoreDone) -> None:
        """Score all tokens of texts; the server refuses a text that it cannot read in one piece."""
        self._server.each(lambda text: _unmasked(self._server.logprobs(text)), texts, done)

    def generate(
        self,
        prompts: Sequence[str],
        max_out_len: int,
        stop: Sequence[str],
        seeds: Sequence[int],
        done: TextDone,
    ) -> None:
        """Write text after prompts; a seed is sent only for sampling."""
        seed = [own % 2**31 for own in seeds] if self._temperature > 0 else None
        if self._chat:
            messages = [[{"role": "user", "content": prompt}] for prompt in prompts]
            self._server.chat(messages, max_out_len, stop, self._temperature, seed, done)
        else:
            self._server.generate(prompts, max_out_len, stop, self._temperature, seed, done)

    def _by_question(
        self, score: Callable[[Pair], TextScore], pairs: Sequence[Sequence[Pair]], done: ScoresDone
    ) -> None:
        """Score the texts of all questions in parallel; a question is done when the last of its texts is."""
        places = [(index, place) for index, own in enumerate(pairs) for place in range(len(own))]
        scores: list[list[TextScore | None]] = [[None] * len(own) for own in pairs]

        def keep(number: int, found: TextScore) -> None:
            index, place = places[number]
            scores[index][place] = found
            own = [one for one in scores[index] if one is not None]
            if len(own) == len(scores[index]):
                done(index, own)

        self._server.each(score, [pairs[index][place] for index, place in places], keep)

    def usage(self) -> Usage:
        """Return nothing known: the server does the work."""
        return Usage()


def _masked(score: ContinuationScore) -> TextScore:
    return TextScore(score.sum, score.token_count, score.token_count, score.is_greedy)


def _unmasked(tokens: Sequence[float | None]) -> TextScore:
    scored = [value for value in tokens if value is not None]
    return TextScore(math.fsum(scored), len(scored), len(tokens))
