"""The chat template of a model behind a server, so that given answers can be scored: servers apply it to messages only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bench.core.errors import LanguageProblem
from bench.language.chat import Marks, Prompt, conversation_of
from bench.language.models.config import ModelConfig
from bench.language.starting import StartToken


class ServedTemplate:
    """Puts conversations into the template of a tokenizer on this machine, with as many start tokens as there.

    A template may write the start token, and so may the server. What a server does is seen from the tokens of the first
    text, not guessed.

    Args:
        config: of the model behind the server; its ``tokenizer_path`` names the tokenizer.
        tokens_of: returns the texts of the tokens that the server makes of a text.

    Attributes:
        repeated_starts: conversations that the template begins with more than one start token.
    """

    def __init__(self, config: ModelConfig, tokens_of: Callable[[str], Sequence[str]]) -> None:
        self._config, self._tokens_of = config, tokens_of
        self._tokenizer: Any = None
        self._start: Callable[[str], str] | None = None
        self._wanted = 1
        self.repeated_starts = 0

    def framed(self, prompts: Sequence[Prompt]) -> list[str]:
        """Return conversations as texts, up to where the answer begins.

        Raises:
            LanguageProblem: no tokenizer is named, or the server begins a text with another number of start tokens.
        """
        texts = [self._template(prompt) for prompt in prompts]
        if self._start is None and texts:
            self._start = self._seen(texts[0])
        self.repeated_starts += len(texts) if self._wanted > 1 else 0
        return [text if self._start is None else self._start(text) for text in texts]

    def begins_thought(self, marks: Marks | None) -> bool:
        """Return whether the template ends inside a thought; False where no tokenizer is named."""
        if marks is None or self._config.tokenizer_path is None:
            return False
        return self._template("?").rstrip().endswith(marks.opening)

    def _template(self, prompt: Prompt) -> str:
        from bench.language.models.loading import apply_chat, load_served_tokenizer  # noqa: PLC0415

        config = self._config
        if config.tokenizer_path is None:
            raise LanguageProblem(
                "inference_failed",
                "found a chat model behind a server, whose template is not known here; expected it, since given answers "
                "are scored after it; name its tokenizer by --tokenizer-path, or use a dataset with inference gen",
            )
        if self._tokenizer is None:
            self._tokenizer = load_served_tokenizer(config)
        messages = conversation_of(prompt, config.system_prompt).messages()
        return apply_chat(self._tokenizer, messages, config.chat_template_kwargs)

    def _seen(self, text: str) -> Callable[[str], str]:
        """Return what a text needs so that the server begins it with as many start tokens as the tokenizer does."""
        start_token = StartToken(self._tokenizer)
        start = start_token.text
        if not start:
            return str
        ids = self._tokenizer(text, add_special_tokens=not start_token.begins(text))["input_ids"]
        self._wanted = wanted = start_token.count(ids)
        ways: list[Callable[[str], str]] = [
            str,
            lambda text: text.removeprefix(start),
            lambda text: start + text,
        ]
        found = []
        for way in ways:
            found.append(start_token.count(self._tokens_of(way(text))))
            if found[-1] == wanted:
                return way
        raise LanguageProblem(
            "inference_failed",
            f"found {found[0]} start tokens ({start}) at the beginning of a text on the server, expected {wanted} as its "
            "tokenizer has; see the server's options for special tokens, or load the model by --hf-path",
        )
