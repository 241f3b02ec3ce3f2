"""Post-processors: they extract the answer from a text: an option letter, a number, a line, a word, a formula.

A post-processor that finds no answer returns None. The sample then counts as unparsed, and a report shows how many are.
A guess would turn a model that does not answer into one that answers by chance. The readers are in ``readers/``.

A user's file registers its own, under a name for the field ``postprocess`` of a dataset::

    @POSTPROCESSORS.register("last_word")
    def last_word(text, row):
        words = text.split()
        return words[-1] if words else None

With a third parameter ``cut`` it is told whether the text was cut at its limit. It then returns only an answer that was
finished before.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bench.core.registry import Registry
from bench.language.readers.code import passes_tests, python_code
from bench.language.readers.letters import first_option, plain_letter
from bench.language.readers.maths import formula
from bench.language.readers.numbers import first_number, last_number, plain_number
from bench.language.readers.words import boxed, first_line, first_word, lower, strip

PostProcessor = Callable[..., str | None]
POSTPROCESSORS: Registry[PostProcessor] = Registry(
    "post-processor", "correct `postprocess` of the dataset, or register one of that name"
)
"""Functions of a text and the prepared row that it answers; they return None for a text without an answer."""

for _reader in (
    first_option,
    first_number,
    last_number,
    formula,
    first_line,
    first_word,
    boxed,
    strip,
    lower,
    python_code,
    passes_tests,
):
    POSTPROCESSORS.add(_reader.__name__, _reader)

# How each of them writes a right answer. The others leave it as it is.
_GOLD_FORMS: Mapping[str, Callable[[str], str | None]] = {
    "first_option": plain_letter,
    "first_number": plain_number,
    "last_number": plain_number,
    "strip": str.strip,
    "lower": str.lower,
}


def apply_postprocessors(
    names: Iterable[str], text: str, row: Mapping[str, Any], cut: bool = False
) -> str | None:
    """Return the text after all post-processors in order, or None as soon as one of them finds no answer.

    Args:
        names: of the post-processors.
        text: what the model wrote.
        row: that it answers.
        cut: whether the text was cut at its limit. The first post-processor that asks for it is told so; what it returns
            was finished.

    Raises:
        KeyError: a name that is not registered, even if an earlier post-processor finds nothing.
        ValueError: from a post-processor that cannot handle the row.
    """
    answer: str | None = text
    for function in [POSTPROCESSORS[name] for name in names]:
        if answer is None:
            return None
        if _asks_for_cut(function):
            answer, cut = function(answer, row, cut=cut), False
        else:
            answer = function(answer, row)
    return answer


def normal_gold(names: Iterable[str], gold: str) -> str:
    """Return a right answer in the form in which post-processors write answers: ``5.0`` is ``5``, ``(b)`` is ``B``.

    A right answer that a reader could not have written stays as it is.
    """
    for name in names:
        form = _GOLD_FORMS.get(name)
        gold = (form(gold) if form else None) or gold
    return gold


@functools.cache
def _asks_for_cut(function: PostProcessor) -> bool:
    try:
        return "cut" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
