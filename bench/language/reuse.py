"""Which predictions of an earlier run still fit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bench.language.predictions import Fingerprint, PredictionStore, StoredPrediction, differing

if TYPE_CHECKING:
    from bench.language.prompting import Question


def reusable(
    store: PredictionStore, wanted: Fingerprint, questions: Iterable[Question]
) -> tuple[list[StoredPrediction], list[str]]:
    """Return the stored predictions of some questions that still fit, and the parts in which they do not.

    Args:
        store: of an earlier run.
        wanted: what predictions of this run depend on.
        questions: of this shard.
    """
    fingerprint = store.fingerprint()
    if fingerprint is None:
        return [], []
    parts = differing(fingerprint, wanted)
    return ([], parts) if parts else (chosen(store.read(), questions), [])


def chosen(predictions: dict[str, StoredPrediction], questions: Iterable[Question]) -> list[StoredPrediction]:
    """Return the predictions of some questions."""
    return [predictions[question.key] for question in questions if question.key in predictions]
