"""Which predictions of an earlier run still fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.language.joining import Joined, join
from bench.language.predictions import Fingerprint, PredictionStore, StoredPrediction, differing

if TYPE_CHECKING:
    from bench.language.prompting import Question


@dataclass(frozen=True)
class Reusable:
    """Predictions of an earlier run that still fit.

    Attributes:
        predictions: by the keys of this run's questions.
        why_not: what keeps others from being reused, each as a part of a sentence.
    """

    predictions: list[StoredPrediction] = field(default_factory=list)
    why_not: list[str] = field(default_factory=list)


def reusable(
    store: PredictionStore, wanted: Fingerprint, questions: Sequence[Question], *, drawn: bool = False
) -> Reusable:
    """Return the stored predictions of some questions that still fit.

    A prediction fits if the model, its settings and the code that asks are the same, the row has the same content, and the
    question the same words. Rows that are new, as with a larger ``--limit``, are not worth a word.

    Args:
        store: of an earlier run.
        wanted: what predictions of this run depend on.
        questions: of this shard.
        drawn: whether answers are drawn by a seed that depends on a question's key, so that the key must be the same.
    """
    fingerprint = store.fingerprint()
    if fingerprint is None:
        return Reusable()
    parts = differing(fingerprint, wanted)
    if parts:
        return Reusable(why_not=[f"{', '.join(parts)} differ"])
    joined = join(store.read(), questions)
    unfit = {question.key for question in (*joined.reworded, *(joined.moved if drawn else ()))}
    return Reusable(
        [prediction for key, prediction in joined.found.items() if key not in unfit], _why_not(joined)
    )


def kept_before(store: PredictionStore, wanted: Fingerprint, questions: Sequence[Question]) -> set[str]:
    """Return the keys of the questions that an earlier attempt at the same case has asked in this run.

    Args:
        store: of this run.
        wanted: what its predictions depend on.
        questions: of this shard.
    """
    fingerprint = store.fingerprint()
    if fingerprint is None or differing(fingerprint, wanted):
        return set()
    stored = store.read()
    return {
        question.key for question in questions
        if (found := stored.get(question.key)) is not None
        and (found.get("row"), found.get("asked")) == (question.row, question.asked)
    }  # fmt: skip


def _why_not(joined: Joined) -> list[str]:
    """Return what differs, but for rows that have no prediction yet."""
    without = Joined(changed=joined.changed, reworded=joined.reworded, unknown=joined.unknown)
    differences = without.differences()
    return [f"data differ ({'; '.join(differences)})"] if differences else []


def chosen(predictions: dict[str, StoredPrediction], questions: Iterable[Question]) -> list[StoredPrediction]:
    """Return the predictions of some questions of the same run."""
    return [predictions[question.key] for question in questions if question.key in predictions]
