"""What a model can be asked for, in texts: scores of continuations and of whole texts, and new text."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bench.core.errors import LanguageProblem
from bench.language.chat import ChatStyle, Marks, Prompt, WrittenText, conversation_of
from bench.language.engine.asked import TokenScorer, TokenWriter
from bench.language.engine.generating import Generator
from bench.language.engine.loglikelihood import Scorer
from bench.language.engine.packing import Group, TokenScores
from bench.language.engine.stopping import Request
from bench.language.models.loading import LoadedModel, apply_chat
from bench.language.record import Usage
from bench.language.starting import StartToken

# The limit of a model that states none, and whose tokenizer states none.
DEFAULT_MAX_LEN = 2048


@dataclass(frozen=True, slots=True)
class TextScore:
    """The score of one text.

    Attributes:
        loglikelihood: of its scored tokens, in nats.
        tokens: how many tokens were scored.
        length: tokens of the whole text, including those that nothing predicts.
        is_greedy: whether each scored token was the most likely one; None if that is not known.
    """

    loglikelihood: float
    tokens: int
    length: int
    is_greedy: bool | None = None


ScoresDone = Callable[[int, list[TextScore]], None]
"""Takes the index of a context or a group, and the scores of its texts."""
ScoreDone = Callable[[int, TextScore], None]
TextDone = Callable[[int, WrittenText], None]


class Backend(Protocol):
    """A model that can be asked. ``done`` gets the index and the answer of each question as soon as it is known.

    Attributes:
        fingerprint: identifies the model's weights.
        dtype: of its weights.
        max_len: tokens that it can read; None if only a server knows.
        chat: how it is asked; None for a base model.
    """

    fingerprint: str
    dtype: str
    max_len: int | None
    chat: ChatStyle | None

    def framed(self, prompts: Sequence[Prompt]) -> list[str]:
        """Return prompts as the texts that the model reads: those of a chat in its template, up to where it answers.

        Raises:
            LanguageProblem: a template that is not known, or that refuses the turns.
        """

    def lengths(self, texts: Sequence[Prompt]) -> list[int]:
        """Return the length of each prompt in tokens."""

    def score_continuations(
        self, contexts: Sequence[Prompt], choices: Sequence[Sequence[str]], done: ScoresDone
    ) -> None:
        """Score the choices of each context."""

    def score_texts(self, texts: Sequence[Sequence[str]], masked: Sequence[str], done: ScoresDone) -> None:
        """Score the whole texts of each group, except for the tokens of a masked beginning."""

    def score_first_tokens(
        self, contexts: Sequence[Prompt], choices: Sequence[Sequence[str]], done: ScoresDone
    ) -> None:
        """Score the first token of each choice of each context.

        Raises:
            LanguageProblem: choices that begin with the same token, or a model whose tokens are not known.
        """

    def score_rolling(self, texts: Sequence[str], done: ScoreDone, special: bool = False) -> None:
        """Score all tokens of each text, which may be longer than the model can read.

        Args:
            texts: to score.
            done: takes each score.
            special: whether special tokens that the tokenizer adds are scored too.
        """

    def generate(
        self,
        prompts: Sequence[Prompt],
        max_out_len: int,
        stop: Sequence[str],
        seeds: Sequence[int],
        done: TextDone,
    ) -> None:
        """Write text after each prompt. No stop string acts inside a thought.

        Raises:
            LanguageProblem: a prompt that leaves no room for an answer.
        """

    def usage(self) -> Usage:
        """Return what the model has done since it was loaded."""


class LocalBackend:
    """A model in this process: of transformers, or of what else scores and continues token ids.

    Args:
        loaded: the model.
        batch_size: questions of a batch, or ``auto``.
        asked: what scores and what writes, in place of transformers, and the tokens before a scored one at most.
    """

    def __init__(
        self, loaded: LoadedModel, batch_size: int | str, asked: tuple[TokenScorer, TokenWriter, int] | None = None
    ) -> None:  # fmt: skip
        self._loaded, self._tokenizer = loaded, loaded.tokenizer
        self.fingerprint, self.dtype = loaded.fingerprint, loaded.dtype
        self._reads = loaded.max_seq_len or DEFAULT_MAX_LEN
        self.max_len: int | None = self._reads
        config = loaded.config
        self._chat = config.type == "chat"
        self.chat = ChatStyle(config.system_prompt, config.few_shot == "turns") if self._chat else None
        self._marks = Marks(*config.think_marks) if config.think_marks else None
        self._start = StartToken(self._tokenizer)
        self._cut = self._short = self._started_twice = 0
        self._scorer: TokenScorer
        self._generator: TokenWriter
        if asked is not None:
            self._scorer, self._generator, self._context = asked
            return
        self._context = self._reads
        vocabulary = loaded.model.get_input_embeddings().weight.shape[0]
        # A padding token that only the tokenizer knows has no embedding. Padding is masked, so any token will do.
        pad = self._tokenizer.pad_token_id
        pad = pad if pad is not None and pad < vocabulary else 0
        self._scorer = Scorer(loaded.model, pad, batch_size)
        options = dict(loaded.config.generation_kwargs)
        self._generator = Generator(loaded.model, self._tokenizer, pad, batch_size, options, self._reads)

    def framed(self, prompts: Sequence[Prompt]) -> list[str]:
        """Return prompts as the texts that the model reads."""
        return [self._framed(prompt) for prompt in prompts]

    def lengths(self, texts: Sequence[Prompt]) -> list[int]:
        """Return the length of each text in tokens, as a prompt."""
        return [len(tokens) for tokens in self._encode(self.framed(texts))]

    def score_continuations(
        self, contexts: Sequence[Prompt], choices: Sequence[Sequence[str]], done: ScoresDone
    ) -> None:
        """Score the choices of each context, split on tokens as lm-evaluation-harness does."""
        self._score(self._continued(contexts, choices), done)

    def score_first_tokens(
        self, contexts: Sequence[Prompt], choices: Sequence[Sequence[str]], done: ScoresDone
    ) -> None:
        """Score the first token of each choice of each context.

        Raises:
            LanguageProblem: two choices that begin with the same token.
        """
        groups = []
        for number, group in enumerate(self._continued(contexts, choices)):
            firsts = [
                sequence[: start + 1] for sequence, start in zip(group.sequences, group.starts, strict=True)
            ]
            if len(set(firsts)) < len(firsts):
                raise LanguageProblem(
                    "inference_failed",
                    f"found choices {list(choices[number])} of which two begin with the same token, expected "
                    "different first tokens; infer by log-likelihood instead",
                )
            groups.append(Group(tuple(firsts), group.starts))
        self._score(groups, done)

    def score_texts(self, texts: Sequence[Sequence[str]], masked: Sequence[str], done: ScoresDone) -> None:
        """Score whole texts, tokenized in one piece, without as many tokens as a masked beginning has."""
        encoded = iter(self._encode([text for group in texts for text in group]))
        starts = [
            len(tokens) if mask else 1 for mask, tokens in zip(masked, self._encode(masked), strict=True)
        ]
        groups, skipped = [], []
        for group, start in zip(texts, starts, strict=True):
            sequences = [self._with_beginning(next(encoded)) for _ in group]
            self._started_twice += any(self._start.count(sequence) > 1 for sequence in sequences)
            first = [min(max(start, 1), len(sequence) - 1) for sequence in sequences]
            skipped.append(start if start > 1 else 0)
            groups.append(self._fitted(sequences, first))

        self._score(groups, done, skipped)

    def score_rolling(self, texts: Sequence[str], done: ScoreDone, special: bool = False) -> None:
        """Score all tokens of texts in windows: each token once, after as much text as a window holds."""
        groups, owners = [], []
        for number, tokens in enumerate(self._rolling_tokens(texts, special)):
            whole = (self._beginning(), *tokens)
            end = min(len(whole), self._context + 1)
            start = 1
            while start < len(whole):
                begin = max(0, end - self._context - 1)
                groups.append(Group((tuple(whole[begin:end]),), (start - begin,)))
                owners.append(number)
                start, end = end, min(len(whole), end + self._context)
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
        self,
        prompts: Sequence[Prompt],
        max_out_len: int,
        stop: Sequence[str],
        seeds: Sequence[int],
        done: TextDone,
    ) -> None:
        """Write text after prompts. Prompts are kept whole: a long one leaves less room for its answer.

        Raises:
            LanguageProblem: a prompt that leaves no room for an answer.
        """
        framed, requests = self.framed(prompts), []
        for text, tokens, seed in zip(framed, self._encode(framed), seeds, strict=True):
            whole = self._with_beginning(tokens, least=1)
            room = self._reads - len(whole)
            if room < 1:
                raise LanguageProblem(
                    "inference_failed",
                    f"found a prompt of {len(whole)} tokens for a model that reads {self._reads}, expected room for an "
                    f"answer (it begins {text[:60]!r}); use a model that reads more, or fewer in-context examples",
                )
            self._short += room < max_out_len
            self._started_twice += self._start.count(whole) > 1
            begun = self._marks is not None and text.rstrip().endswith(self._marks.opening)
            requests.append(Request(whole, min(max_out_len, room), tuple(stop), seed, self._marks, begun))
        self._generator.generate(requests, done)

    def usage(self) -> Usage:
        """Return what the model has done since it was loaded."""
        batches = [self._scorer.batches, self._generator.batches]
        return Usage(
            batch_size=min(batch.size for batch in batches),
            halvings=sum(batch.halvings for batch in batches),
            fed_tokens=self._scorer.fed_tokens,
            shared_prefixes=self._scorer.shares,
            continuous_batching=self._generator.continuous,
            cut_prompts=self._cut,
            short_answers=self._short,
            repeated_starts=self._started_twice,
        )

    # -- tokens ------------------------------------------------------------------------------------

    def _encode(self, texts: Sequence[str], special: bool | None = None) -> list[list[int]]:
        """Return token ids with the tokenizer's own special tokens, but one start token where a text has its own."""
        if not texts:
            return []
        if special is None:
            begun = [self._start.begins(text) for text in texts]
            if any(begun):
                each = {
                    own: iter(
                        self._encode([t for t, b in zip(texts, begun, strict=True) if b is own], not own)
                    )
                    for own in (True, False)
                }
                return [next(each[own]) for own in begun]
            special = True
        encoded: list[list[int]] = self._tokenizer(list(texts), add_special_tokens=special)["input_ids"]
        end = self._tokenizer.eos_token_id
        if special and self._start.adds_end:
            encoded = [tokens[:-1] if tokens and tokens[-1] == end else tokens for tokens in encoded]
        return encoded

    def _rolling_tokens(self, texts: Sequence[str], special: bool) -> list[list[int]]:
        """Return the tokens of whole texts, which follow the start token that rolling begins with."""
        return self._encode(texts, special=special)

    def _framed(self, prompt: Prompt) -> str:
        """Return a prompt in the form that the model was trained on."""
        if not self._chat:
            assert isinstance(prompt, str)
            return prompt
        config = self._loaded.config
        messages = conversation_of(prompt, config.system_prompt).messages()
        return apply_chat(self._tokenizer, messages, config.chat_template_kwargs)

    def _beginning(self) -> int:
        """Return the token that starts a text without a start token."""
        for token in (self._tokenizer.bos_token_id, self._tokenizer.eos_token_id):
            if token is not None:
                return int(token)
        return 0

    def _with_beginning(self, tokens: Sequence[int], least: int = 2) -> tuple[int, ...]:
        return tuple(tokens) if len(tokens) >= least else (self._beginning(), *tokens)

    def _continued(self, contexts: Sequence[Prompt], choices: Sequence[Sequence[str]]) -> list[Group]:
        framed, wholes = [], []
        for context, texts in zip(contexts, choices, strict=True):
            # A blank belongs to the word after it: "x " and "y" are the tokens "x" and " y".
            text = self._framed(context)
            framed.append(text.rstrip())
            wholes += [f"{text}{choice.lstrip() if self._chat else choice}" for choice in texts]
        begun = self._encode(framed)
        self._started_twice += sum(self._start.count(tokens) > 1 for tokens in begun)
        encoded = iter(self._encode(wholes))
        groups = []
        for context, begin, texts in zip(framed, begun, choices, strict=True):
            sequences = [next(encoded) for _ in texts]
            start = len(begin)
            if not context:
                bare_tokens = self._encode(list(texts), special=False)
                sequences, start = [[self._beginning(), *tokens] for tokens in bare_tokens], 1
            elif not start:  # a context that the tokenizer turns into nothing
                sequences, start = [[self._beginning(), *tokens] for tokens in sequences], 1
            begun_sequences = [self._with_beginning(sequence) for sequence in sequences]
            groups.append(
                self._fitted(begun_sequences, [min(start, len(sequence) - 1) for sequence in begun_sequences])
            )
        return groups

    def _fitted(self, sequences: Sequence[Sequence[int]], starts: Sequence[int]) -> Group:
        """Return a group; sequences that are too long lose their beginning. The last token is never fed."""
        cut_sequences, cut_starts = [], []
        for sequence, start in zip(sequences, starts, strict=True):
            cut = max(0, len(sequence) - self._context - 1)
            self._cut += cut > 0
            cut_sequences.append(tuple(sequence[cut:]))
            cut_starts.append(max(1, start - cut))
        return Group(tuple(cut_sequences), tuple(cut_starts))

    def _score(self, groups: list[Group], done: ScoresDone, skipped: Sequence[int] | None = None) -> None:
        """Score groups; the texts of a group count as shorter by its number of skipped tokens."""

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
    """Return the seed of one text's sampling; it depends on the question, not on the batch or the shard."""
    return int.from_bytes(hashlib.sha256(f"{run_seed}:{key}".encode()).digest()[:6], "big")
