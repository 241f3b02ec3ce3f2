"""What a model is asked for, in texts: continuations scored, whole texts scored, text written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bench.language.engine.generating import Generator, Request
from bench.language.engine.loglikelihood import Scorer
from bench.language.engine.packing import Group, TokenScores
from bench.language.models.loading import LoadedModel, apply_chat

# Where neither the model nor its tokenizer says how much it can read.
DEFAULT_MAX_LEN = 2048


@dataclass(frozen=True, slots=True)
class TextScore:
    """The score of one text.

    Attributes:
        loglikelihood: of its scored tokens, in nats.
        tokens: how many tokens were scored.
        length: tokens of the whole text, those included that nothing predicts.
        is_greedy: whether each scored token was the model's first choice; None where it is not known.
    """

    loglikelihood: float
    tokens: int
    length: int
    is_greedy: bool | None = None


Done = Callable[[int, Any], None]


class Backend(Protocol):
    """A model that can be asked. ``done`` gets each question's index and answer as soon as it is there.

    Attributes:
        fingerprint: identifies the model's weights.
        dtype: of its weights.
        max_len: tokens that it can read, None where only a server knows.
    """

    fingerprint: str
    dtype: str
    max_len: int | None

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Return the length of each prompt in tokens."""

    def continuations(self, contexts: Sequence[str], choices: Sequence[Sequence[str]], done: Done) -> None:
        """Score texts after a context; gives a list of TextScore for each context."""

    def whole(self, texts: Sequence[Sequence[str]], masked: Sequence[str], done: Done) -> None:
        """Score whole texts but for the tokens of a masked beginning; gives a list of TextScore for each group."""

    def first_tokens(self, contexts: Sequence[str], choices: Sequence[Sequence[str]], done: Done) -> None:
        """Score the first token of each choice; gives a list of TextScore for each context."""

    def rolling(self, texts: Sequence[str], done: Done) -> None:
        """Score all tokens of long texts, window by window; gives a TextScore each."""

    def generate(
        self, prompts: Sequence[str], max_out_len: int, stop: Sequence[str], seeds: Sequence[int], done: Done
    ) -> None:
        """Write text after prompts; gives a text each."""

    def effort(self) -> dict[str, Any]:
        """Return what the work took, for the record."""


class LocalBackend:
    """A model of transformers in this process.

    Args:
        loaded: the model.
        batch_size: questions of a batch, or ``auto``.
    """

    def __init__(self, loaded: LoadedModel, batch_size: int | str) -> None:
        self._loaded, self._tokenizer = loaded, loaded.tokenizer
        self.fingerprint, self.dtype = loaded.fingerprint, loaded.dtype
        self._reads = loaded.max_seq_len or DEFAULT_MAX_LEN
        self.max_len: int | None = self._reads
        self._chat = loaded.config.type == "chat"
        vocabulary = loaded.model.get_input_embeddings().weight.shape[0]
        # A padding token that was added to the tokenizer alone has no embedding; it is masked, any other will do.
        pad = self._tokenizer.pad_token_id
        pad = pad if pad is not None and pad < vocabulary else 0
        self._scorer = Scorer(loaded.model, pad, batch_size)
        options = dict(loaded.config.generation_kwargs)
        self._generator = Generator(loaded.model, self._tokenizer, pad, batch_size, options)
        self._cut = 0

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Return the length of each text in tokens, as a prompt."""
        return [len(tokens) for tokens in self._encode([self._framed(text) for text in texts])]

    def continuations(self, contexts: Sequence[str], choices: Sequence[Sequence[str]], done: Done) -> None:
        """Score texts after a context, split on tokens as lm-evaluation-harness does."""
        self._score(self._continued(contexts, choices), done)

    def first_tokens(self, contexts: Sequence[str], choices: Sequence[Sequence[str]], done: Done) -> None:
        """Score the first token of each choice.

        Raises:
            ValueError: when two choices begin with the same token.
        """
        groups = []
        for number, group in enumerate(self._continued(contexts, choices)):
            firsts = [
                sequence[: start + 1] for sequence, start in zip(group.sequences, group.starts, strict=True)
            ]
            if len(set(firsts)) < len(firsts):
                raise ValueError(
                    f"found choices {list(choices[number])} of which two begin with the same token, expected "
                    "different first tokens; infer by log-likelihood instead"
                )
            groups.append(Group(tuple(firsts), group.starts))
        self._score(groups, done)

    def whole(self, texts: Sequence[Sequence[str]], masked: Sequence[str], done: Done) -> None:
        """Score whole texts, tokenized in one piece, but for as many tokens as a masked beginning has."""
        encoded = iter(self._encode([text for group in texts for text in group]))
        starts = [
            len(tokens) if mask else 1 for mask, tokens in zip(masked, self._encode(masked), strict=True)
        ]
        groups, skipped = [], []
        for group, start in zip(texts, starts, strict=True):
            sequences = [self._with_beginning(next(encoded)) for _ in group]
            first = [min(max(start, 1), len(sequence) - 1) for sequence in sequences]
            skipped.append(start if start > 1 else 0)
            groups.append(self._fitted(sequences, first))

        self._score(groups, done, skipped)

    def rolling(self, texts: Sequence[str], done: Done) -> None:
        """Score all tokens of texts in windows: each token once, with as much before it as a window holds."""
        groups, owners = [], []
        for number, tokens in enumerate(self._encode(texts, special=False)):
            whole = (self._beginning(), *tokens)
            end = min(len(whole), self._reads + 1)
            start = 1
            while start < len(whole):
                begin = max(0, end - self._reads - 1)
                groups.append(Group((tuple(whole[begin:end]),), (start - begin,)))
                owners.append(number)
                start, end = end, min(len(whole), end + self._reads)
        open_windows = [owners.count(number) for number in range(len(texts))]
        sums: list[list[TokenScores]] = [[] for _ in texts]
        for number, windows in enumerate(open_windows):
            if not windows:
                done(number, TextScore(0.0, 0, 0))

        def keep(index: int, scores: list[TokenScores]) -> None:
            owner = owners[index]
            sums[owner] += scores
            if len(sums[owner]) == open_windows[owner]:
                count = sum(len(score.loglikelihoods) for score in sums[owner])
                total = sum(score.total for score in sums[owner])
                done(owner, TextScore(total, count, count, all(score.is_greedy for score in sums[owner])))

        self._scorer.score(groups, keep)

    def generate(
        self, prompts: Sequence[str], max_out_len: int, stop: Sequence[str], seeds: Sequence[int], done: Done
    ) -> None:
        """Write text after prompts; of a prompt that leaves no room for an answer the end is kept."""
        room = max(1, self._reads - max_out_len)
        requests = []
        for tokens, seed in zip(
            self._encode([self._framed(prompt) for prompt in prompts]), seeds, strict=True
        ):
            self._cut += len(tokens) > room
            kept = self._with_beginning(tokens, least=1)[-room:]
            requests.append(Request(kept, max_out_len, tuple(stop), seed))
        self._generator.generate(requests, done)

    def effort(self) -> dict[str, Any]:
        """Return batch size, halvings, tokens fed, and how many prompts were cut at their beginning."""
        batches = [self._scorer.batches, self._generator.batches]
        return {
            "batch_size": min(batch.size for batch in batches),
            "halvings": sum(batch.halvings for batch in batches),
            "fed_tokens": self._scorer.fed_tokens,
            "shared_prefixes": self._scorer.shares,
            "cut_prompts": self._cut,
        }

    # -- tokens ------------------------------------------------------------------------------------

    def _encode(self, texts: Sequence[str], special: bool | None = None) -> list[list[int]]:
        """Return token ids, with the tokenizer's own special tokens unless a chat template has put them there."""
        if not texts:
            return []
        special = not self._chat if special is None else special
        encoded: list[list[int]] = self._tokenizer(list(texts), add_special_tokens=special)["input_ids"]
        end = self._tokenizer.eos_token_id
        if special and end is not None and getattr(self._tokenizer, "add_eos_token", False):
            encoded = [tokens[:-1] if tokens and tokens[-1] == end else tokens for tokens in encoded]
        return encoded

    def _framed(self, prompt: str) -> str:
        """Return a prompt as the model was trained to be asked."""
        return apply_chat(self._tokenizer, [{"role": "user", "content": prompt}]) if self._chat else prompt

    def _beginning(self) -> int:
        """The token before a text that has none before it."""
        for token in (self._tokenizer.bos_token_id, self._tokenizer.eos_token_id):
            if token is not None:
                return int(token)
        return 0

    def _with_beginning(self, tokens: Sequence[int], least: int = 2) -> tuple[int, ...]:
        return tuple(tokens) if len(tokens) >= least else (self._beginning(), *tokens)

    def _continued(self, contexts: Sequence[str], choices: Sequence[Sequence[str]]) -> list[Group]:
        framed, wholes = [], []
        for context, texts in zip(contexts, choices, strict=True):
            # Blanks belong to the word after them: "x " and "y" are the tokens "x" and " y".
            text = self._framed(context)
            bare = text.rstrip() if not self._chat else text
            framed.append(bare)
            wholes += [f"{text}{choice.lstrip() if self._chat else choice}" for choice in texts]
        begun = self._encode(framed)
        encoded = iter(self._encode(wholes))
        groups = []
        for context, begin, texts in zip(framed, begun, choices, strict=True):
            sequences = [next(encoded) for _ in texts]
            start = len(begin)
            if not context:
                bare_tokens = self._encode(list(texts), special=False)
                sequences, start = [[self._beginning(), *tokens] for tokens in bare_tokens], 1
            elif not start:  # a context of which the tokenizer makes nothing
                sequences, start = [[self._beginning(), *tokens] for tokens in sequences], 1
            begun_sequences = [self._with_beginning(sequence) for sequence in sequences]
            groups.append(
                self._fitted(begun_sequences, [min(start, len(sequence) - 1) for sequence in begun_sequences])
            )
        return groups

    def _fitted(self, sequences: Sequence[Sequence[int]], starts: Sequence[int]) -> Group:
        """Return a group; what the model cannot read is cut off at the beginning. The last token is never fed."""
        cut_sequences, cut_starts = [], []
        for sequence, start in zip(sequences, starts, strict=True):
            cut = max(0, len(sequence) - self._reads - 1)
            self._cut += cut > 0
            cut_sequences.append(tuple(sequence[cut:]))
            cut_starts.append(max(1, start - cut))
        return Group(tuple(cut_sequences), tuple(cut_starts))

    def _score(self, groups: list[Group], done: Done, skipped: Sequence[int] | None = None) -> None:
        """Score groups; of a group's texts so many tokens are left out of the length."""

        def keep(index: int, scores: list[TokenScores]) -> None:
            out = 0 if skipped is None else skipped[index]
            done(
                index,
                [
                    TextScore(
                        score.total, len(score.loglikelihoods), max(len(sequence) - out, 1), score.is_greedy
                    )
                    for score, sequence in zip(scores, groups[index].sequences, strict=True)
                ],
            )

        self._scorer.score(groups, keep)


def text_seed(run_seed: int, key: str) -> int:
    """Return the seed of one text's sampling: it depends on the question and not on the batch or the shard."""
    return int.from_bytes(hashlib.sha256(f"{run_seed}:{key}".encode()).digest()[:6], "big")
