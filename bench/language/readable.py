"""What a person reads of the answers to questions: what was right, and what was read of the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.core.errors import LanguageProblem
from bench.language.grading import answer
from bench.language.predictions import StoredPrediction
from bench.language.prompting import Question
from bench.language.spec import Dataset, Rolling


def readable_answers(
    dataset: Dataset, questions: Sequence[Question], stored: Mapping[str, StoredPrediction]
) -> dict[str, list[Any]]:
    """Return by name a text for each question: ``golds``, what was right, and ``read``, None where nothing could be read.

    Args:
        dataset: that was asked.
        questions: whose answers are wanted.
        stored: predictions by key.
    """
    if isinstance(dataset.inference, Rolling) or not dataset.metrics:
        return {}
    metric = dataset.metrics[0]
    return {
        "golds": [" or ".join(_text(question, gold) for gold in question.golds) for question in questions],
        "read": [_read(dataset, question, stored.get(question.key), metric) for question in questions],
    }


def _read(
    dataset: Dataset, question: Question, prediction: StoredPrediction | None, metric: str
) -> str | None:
    if prediction is None:
        return None
    try:
        found = answer(dataset, question, prediction, metric)
    except (LanguageProblem, KeyError):  # a metric that reads the prediction in a way of its own
        return None
    return None if found is None else _text(question, found)


def _text(question: Question, value: Any) -> str:
    """Return a choice by its words, anything else as it is."""
    is_choice = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(question.labels)
    return question.labels[value] if is_choice else str(value)
