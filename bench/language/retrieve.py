"""Chooses the rows of the training split that are examples before a question.

The choice depends on the run's seed, the question and the training split. It does not depend on the order in which
questions are asked, nor on how workers share them.
"""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from bench.language.spec import Examples

# In scripts without blanks between words, each character counts as a word.
_UNSPACED = "぀-ヿ㐀-鿿"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")


class Retriever(Protocol):
    """Chooses the examples of a question."""

    def indices(self, question_index: int, query: str) -> list[int]:
        """Return rows of the training split, in their order before the question.

        Args:
            question_index: place of the question in the whole split, even if a worker has only a part of it.
            query: text of the question, in the form of the training texts.
        """


def make_retriever(examples: Examples, train_texts: Sequence[str], seed: int) -> Retriever:
    """Return the retriever that a dataset declares.

    Args:
        examples: what the dataset declares.
        train_texts: text of each row of the training split, shape (rows,); empty without such a split.
        seed: of the run, for ``random``.

    Raises:
        ValueError: more examples than the training split has, or a declaration that contradicts itself.
    """
    if examples.retriever == "zero":
        _expect(
            not examples.count and not examples.ids,
            f"{examples.count} examples and ids {examples.ids}",
            "none for retriever 'zero'",
            "name another retriever, or leave them out",
        )
        return _Fixed(())
    _check(examples, len(train_texts))
    if examples.retriever == "fixed":
        return _Fixed(examples.ids or tuple(range(examples.count)))
    if examples.retriever == "random":
        return _Random(examples.count, len(train_texts), seed)
    if examples.retriever == "sequence":
        return _Sequence(examples.count, len(train_texts))
    return _Bm25(examples.count, train_texts)


@dataclass(frozen=True, slots=True)
class _Fixed:
    """The same examples for every question."""

    ids: tuple[int, ...]

    def indices(self, question_index: int, query: str) -> list[int]:
        return list(self.ids)


@dataclass(frozen=True, slots=True)
class _Random:
    """Examples drawn without replacement, different ones for each question."""

    count: int
    rows: int
    seed: int

    def indices(self, question_index: int, query: str) -> list[int]:
        # A text seed tells (1, 12) and (11, 2) apart, and Python hashes it the same way everywhere.
        return random.Random(f"{self.seed}:{question_index}").sample(range(self.rows), self.count)


class _Sequence:
    """Examples drawn for one question after the other from one generator: those that lm-evaluation-harness shows.

    Its generator starts from a fixed seed and draws for each question of the split in turn, so the examples of a question
    follow from its place. Source: `ContextSampler` of lm-evaluation-harness 0.4, with the seed that it uses by default.
    """

    _SEED = 1234

    def __init__(self, count: int, rows: int) -> None:
        self._count, self._rows = count, rows
        self._generator = random.Random(self._SEED)
        self._drawn: list[list[int]] = []

    def indices(self, question_index: int, query: str) -> list[int]:
        while len(self._drawn) <= question_index:
            self._drawn.append(self._generator.sample(range(self._rows), self._count))
        return list(self._drawn[question_index])


class _Bm25:
    """The examples most similar to the question by BM25, the most similar one first, as in OpenCompass.

    A prompt that is too long drops examples from the end: the least similar ones. Among equally similar rows, earlier
    ones of the training split come first. Source: Robertson et al. 1994 in the form of Lucene, k1 = 1.5 and b = 0.75,
    as in the library bm25s.
    """

    def __init__(self, count: int, train_texts: Sequence[str]) -> None:
        self._count = count
        self._rows = len(train_texts)
        self._index = _bm25_index([_words(text) for text in train_texts])

    def indices(self, question_index: int, query: str) -> list[int]:
        words = _words(query)
        # Without words in the query or in the training split there is nothing to look up.
        scores = self._index.get_scores(words) if self._index and words else np.zeros(self._rows)
        nearest = np.argsort(-scores, kind="stable")[: self._count]
        return [int(row) for row in nearest]


def _bm25_index(texts: list[list[str]]) -> Any | None:
    """Return an index of texts given as words; None if there are no words."""
    import bm25s  # noqa: PLC0415  only datasets with this retriever need it

    # On import it asks for debug messages, which would be shown with every failed case.
    logging.getLogger("bm25s").setLevel(logging.WARNING)
    if not any(texts):
        return None
    index = bm25s.BM25(method="lucene", k1=1.5, b=0.75, dtype="float64", backend="numpy")
    index.index(texts, show_progress=False)
    return index


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _check(examples: Examples, rows: int) -> None:
    """Refuse examples that the training split cannot provide."""
    name = f"retriever {examples.retriever!r}"
    if examples.retriever != "fixed":
        _expect(
            not examples.ids,
            f"ids {examples.ids}",
            f"none for {name}",
            "leave them out, or use retriever 'fixed'",
        )
    count = len(examples.ids) or examples.count
    _expect(
        count > 0, f"{count} examples", f"at least one for {name}", "set `count`, or use retriever 'zero'"
    )
    _expect(
        examples.count in {0, count},
        f"count {examples.count} with {len(examples.ids)} ids",
        "as many as there are ids",
        "leave `count` or `ids` out",
    )
    _expect(
        rows > 0,
        "no training split",
        f"one with at least {count} rows for {name}",
        "set `train_split` of the source, or use retriever 'zero'",
    )
    outside = [row for row in examples.ids if not 0 <= row < rows]
    _expect(not outside, f"ids {outside}", f"rows 0 to {rows - 1} of the training split", "correct them")
    _expect(
        len(set(examples.ids)) == len(examples.ids),
        f"ids {examples.ids}",
        "each row once",
        "drop the repeated ones",
    )
    _expect(
        count <= rows,
        f"{rows} training rows",
        f"at least the {count} examples asked for by {name}",
        "lower `count`, or use a larger training split",
    )


def _expect(holds: bool, found: str, expected: str, remedy: str) -> None:
    if not holds:
        raise ValueError(f"found {found}, expected {expected}; {remedy}")
