"""Joins stored predictions to the questions of a run: by what is in a row and by what was asked, never by number alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.core.errors import LanguageProblem
from bench.core.names import content_hash
from bench.language.predictions import StoredPrediction
from bench.language.prompting import Question
from bench.language.spec import Dataset, Generation, Perplexity, Rolling, Row

_SHOWN = 5


def identity(question: Question) -> StoredPrediction:
    """Return what a stored prediction says of the question that it answers, besides its key."""
    return {
        "key": question.key,
        "row": question.row,
        "parts": parts_of(question.source),
        "asked": question.asked,
    }


def parts_of(row: Row) -> dict[str, str]:
    """Return a short hash of each field of a row, to name the fields in which two rows differ."""
    return {str(name): content_hash(value)[:6] for name, value in row.items()}


@dataclass
class Joined:
    """Predictions by the questions of a run, and what does not fit.

    Attributes:
        found: by the key of the question, which the stored prediction may not have had.
        moved: questions whose row stood at another place.
        missing: questions of rows that have no prediction.
        changed: questions whose place has a prediction of another row, with the fields in which the rows differ.
        reworded: questions whose row has a prediction that was asked in other words, or with other examples.
        rechosen: those of them whose choices are others.
        unknown: questions whose prediction does not say which row it is of.
    """

    found: dict[str, StoredPrediction] = field(default_factory=dict)
    moved: list[Question] = field(default_factory=list)
    missing: list[Question] = field(default_factory=list)
    changed: list[tuple[Question, list[str]]] = field(default_factory=list)
    reworded: list[Question] = field(default_factory=list)
    rechosen: list[Question] = field(default_factory=list)
    unknown: list[Question] = field(default_factory=list)

    def differences(self, *, wording: bool = True) -> list[str]:
        """Return what does not fit, each as a part of a sentence; none for predictions that all fit.

        Args:
            wording: whether a question that was asked in other words counts, its choices apart.
        """
        found = []
        if self.missing:
            found.append(f"no prediction of {_rows(self.missing)}")
        if self.changed:
            fields = {name: None for _, names in self.changed for name in names}
            named = f", in {_listed(list(fields))}" if fields else ""
            found.append(f"a prediction of another row at {_rows([one for one, _ in self.changed])}{named}")
        if wording and self.reworded:
            found.append(f"other prompts, examples or choices of {_rows(self.reworded)}")
        elif self.rechosen:
            found.append(f"other choices of {_rows(self.rechosen)}")
        if self.unknown:
            found.append(
                f"predictions that do not say which row they are of, at {_rows(self.unknown)}: an earlier version wrote them"
            )
        return found


def join(predictions: Mapping[str, StoredPrediction], questions: Sequence[Question]) -> Joined:
    """Join stored predictions to questions by the content of the row, and by what else tells its questions apart.

    Of several predictions of equal rows, a question takes the one with its own key, else the first that no other takes.

    Args:
        predictions: by their own keys.
        questions: of this run.
    """
    joined = Joined()
    places: dict[tuple[str, str], list[str]] = {}
    for key, prediction in predictions.items():
        if row := prediction.get("row"):
            places.setdefault((row, _turn(key, prediction.get("index"))), []).append(key)
    exact = {
        question.key for question in questions
        if question.row and _row_of(predictions, question.key) == question.row
    }  # fmt: skip
    taken = set(exact)
    for question in questions:
        stored = predictions.get(question.key)
        if question.key in exact:
            key = question.key
        else:
            others = places.get((question.row, _turn(question.key, question.index)), [])
            key = next((other for other in others if other not in taken), "")
            taken.add(key)
        if key:
            _take(joined, question, predictions[key])
        elif stored is None:
            joined.missing.append(question)
        elif not stored.get("row"):
            joined.unknown.append(question)
        else:
            joined.changed.append((question, _differing(stored.get("parts", {}), parts_of(question.source))))
    return joined


def require_all(
    joined: Joined, dataset: Dataset, where: str, advice: str, *, wording: bool = True
) -> dict[str, StoredPrediction]:
    """Return the predictions of all questions.

    Args:
        joined: of a run.
        dataset: says what a prediction must hold.
        where: the run, for the message.
        advice: what to do where something differs.
        wording: whether prompts must be the same.

    Raises:
        LanguageProblem: a question without its prediction; the message says what differs, and in which rows.
    """
    differences = joined.differences(wording=wording)
    needed = _needed(dataset)
    other = [
        key for key, prediction in joined.found.items() if any(name not in prediction for name in needed)
    ]
    if other:
        differences.append(
            f"answers by another inference than {dataset.inference.kind} ({len(other)} of them)"
        )
    if differences:
        raise LanguageProblem(
            "predictions_missing",
            f"{where}: found {'; '.join(differences)}; expected predictions of the same rows and questions as in this run; "
            f"{advice}",
        )
    return joined.found


def _take(joined: Joined, question: Question, stored: StoredPrediction) -> None:
    if stored["key"] != question.key:
        joined.moved.append(question)
    if stored.get("asked") != question.asked:
        joined.reworded.append(question)
        if list(stored.get("choices", question.labels)) != list(question.labels):
            joined.rechosen.append(question)
    joined.found[question.key] = {**stored, "key": question.key, "index": question.index}


def _needed(dataset: Dataset) -> tuple[str, ...]:
    inference = dataset.inference
    if isinstance(inference, Generation):
        return ("text",)
    if isinstance(inference, Rolling):
        return ("loglikelihood",)
    return ("loglikelihoods", "perplexity") if isinstance(inference, Perplexity) else ("loglikelihoods",)


def _row_of(predictions: Mapping[str, StoredPrediction], key: str) -> str | None:
    return predictions[key].get("row") if key in predictions else None


def _turn(key: str, index: Any) -> str:
    """Return what a key has besides the number of its row: the rotation of the options, or the number of a sample."""
    return key.removeprefix(str(index))


def _differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    return [name for name in dict.fromkeys([*one, *other]) if one.get(name) != other.get(name)]


def _rows(questions: Iterable[Question]) -> str:
    """Return rows for a message: how many, and the first few by their numbers, with the rotation or draw if there is one."""
    numbers = list(dict.fromkeys(question.key for question in questions))
    shown = ", ".join(map(str, numbers[:_SHOWN])) + (", ..." if len(numbers) > _SHOWN else "")
    return f"{len(numbers)} rows ({shown})" if len(numbers) > 1 else f"row {shown}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"the field{'s' if len(names) > 1 else ''} " + ", ".join(names[:_SHOWN]) + more
