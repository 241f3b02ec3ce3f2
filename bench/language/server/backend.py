"""A completion server as a backend. The server tokenizes, so texts are split on its tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.core.errors import LanguageProblem
from bench.language.backend import ScoreDone, ScoresDone, TextDone, TextScore
from bench.language.models.config import ModelConfig
from bench.language.models.sources import fingerprint
from bench.language.record import Usage
from bench.language.server.client import CompletionServer, ContinuationScore

# Answers between two writes of predictions: a killed run has to ask at most so many again.
_CHUNK = 16


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
        for part in _chunks(len(contexts)):
            pairs = [(contexts[index], choice) for index in part for choice in choices[index]]
            found = iter(self._server.loglikelihoods(pairs))
            for index in part:
                scores = [next(found) for _ in choices[index]]
                done(
                    index,
                    [
                        TextScore(s.sum, s.token_count, s.token_count + s.context_tokens, s.is_greedy)
                        for s in scores
                    ],
                )

    def score_texts(self, texts: Sequence[Sequence[str]], masked: Sequence[str], done: ScoresDone) -> None:
        """Score whole texts, except for a masked beginning."""
        for part in _chunks(len(texts)):
            pairs = [
                (masked[index], text.removeprefix(masked[index])) for index in part for text in texts[index]
            ]
            # Texts without a mask are scored from their second token on: nothing predicts the first one.
            scored = iter(self._server.loglikelihoods([pair for pair in pairs if pair[0]]))
            whole = iter(self._server.whole_text([text for mask, text in pairs if not mask]))
            found = iter([_masked(next(scored)) if mask else _unmasked(next(whole)) for mask, _ in pairs])
            for index in part:
                done(index, [next(found) for _ in texts[index]])

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

    def score_rolling(self, texts: Sequence[str], done: ScoreDone, special: bool = False) -> None:
        """Score all tokens of texts; the server refuses a text that it cannot read in one piece, and adds what it adds."""
        for part in _chunks(len(texts)):
            for index, tokens in zip(part, self._server.whole_text([texts[i] for i in part]), strict=True):
                done(index, _unmasked(tokens))

    def generate(
        self,
        prompts: Sequence[str],
        max_out_len: int,
        stop: Sequence[str],
        seeds: Sequence[int],
        done: TextDone,
    ) -> None:
        """Write text after prompts; a seed is sent only for sampling."""
        # Sampled prompts are sent one by one, since each has its own seed.
        drawn = self._temperature > 0
        for part in _chunks(len(prompts), 1 if drawn else _CHUNK):
            chosen = [prompts[index] for index in part]
            seed = seeds[part[0]] % 2**31 if drawn else None
            if self._chat:
                messages = [[{"role": "user", "content": prompt}] for prompt in chosen]
                texts = self._server.chat(messages, max_out_len, stop, self._temperature, seed)
            else:
                texts = self._server.generate(chosen, max_out_len, stop, self._temperature, seed)
            for index, text in zip(part, texts, strict=True):
                done(index, text)

    def usage(self) -> Usage:
        """Return nothing known: the server does the work."""
        return Usage()


def _chunks(count: int, size: int = _CHUNK) -> list[range]:
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def _masked(score: ContinuationScore) -> TextScore:
    return TextScore(score.sum, score.token_count, score.token_count, score.is_greedy)


def _unmasked(tokens: Sequence[float | None]) -> TextScore:
    scored = [value for value in tokens if value is not None]
    return TextScore(math.fsum(scored), len(scored), len(tokens))
