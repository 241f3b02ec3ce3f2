"""A completion server behind the interface of a backend: it tokenizes, so texts are split on its tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bench.errors import LanguageProblem
from bench.language.backend import Done, TextScore
from bench.language.models.config import ModelConfig
from bench.language.models.loading import fingerprint
from bench.language.server import CompletionServer

# Answers between two writes of predictions: what a killed run has to ask again at most.
_CHUNK = 16


class ServerBackend:
    """A model behind an OpenAI-compatible server.

    Args:
        config: names the server and the model.
        concurrency: requests at a time.
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

    def length(self, text: str) -> int:
        """Return about how many tokens a text has: the server does not say, four characters a token is usual."""
        return len(text) // 4

    def continuations(self, contexts: Sequence[str], choices: Sequence[Sequence[str]], done: Done) -> None:
        """Score texts after a context."""
        for start in range(0, len(contexts), _CHUNK):
            part = range(start, min(start + _CHUNK, len(contexts)))
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

    def whole(self, texts: Sequence[Sequence[str]], masked: Sequence[str], done: Done) -> None:
        """Score whole texts but for a masked beginning."""
        for index, (group, mask) in enumerate(zip(texts, masked, strict=True)):
            if mask:
                cut = [(mask, text.removeprefix(mask)) for text in group]
                done(
                    index,
                    [
                        TextScore(s.sum, s.token_count, s.token_count)
                        for s in self._server.loglikelihoods(cut)
                    ],
                )
                continue
            scores = []
            for tokens in self._server.whole_text(group):
                scored = [value for value in tokens if value is not None]
                scores.append(TextScore(math.fsum(scored), len(scored), len(tokens)))
            done(index, scores)

    def first_tokens(self, contexts: Sequence[str], choices: Sequence[Sequence[str]], done: Done) -> None:
        """Refuse: a server does not say where the first token of a text ends before it has scored it all."""
        raise LanguageProblem(
            "inference_failed",
            "inference by single token needs the model's own tokens, found a server; use a dataset that infers by "
            "log-likelihood (ll) or generation (gen)",
        )

    def rolling(self, texts: Sequence[str], done: Done) -> None:
        """Score all tokens of texts; the server refuses what it cannot read in one piece."""
        for index, tokens in enumerate(self._server.whole_text(texts)):
            scored = [value for value in tokens if value is not None]
            done(index, TextScore(math.fsum(scored), len(scored), len(tokens)))

    def generate(
        self, prompts: Sequence[str], max_out_len: int, stop: Sequence[str], seeds: Sequence[int], done: Done
    ) -> None:
        """Write text after prompts; a seed is sent only where something is drawn."""
        for start in range(0, len(prompts), _CHUNK):
            part = list(prompts[start : start + _CHUNK])
            options: dict[str, Any] = {"temperature": self._temperature}
            if self._temperature > 0:
                options["seed"] = seeds[start] % 2**31
            if self._chat:
                messages = [[{"role": "user", "content": prompt}] for prompt in part]
                texts = self._server.chat(messages, max_out_len, stop, **options)
            else:
                texts = self._server.generate(part, max_out_len, stop, **options)
            for index, text in enumerate(texts, start):
                done(index, text)

    def effort(self) -> dict[str, Any]:
        """Return nothing: the work is the server's."""
        return {}
