"""What became of the programs that a dataset's answers are, question by question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.language.postprocess import apply_postprocessors
from bench.language.predictions import StoredPrediction
from bench.language.prompting import Question
from bench.language.spec import Dataset

_RUNS = "passes_tests"


def require_jail_of(dataset: Dataset) -> None:
    """Refuse a dataset that runs programs where there is no jail, before anything is asked.

    Raises:
        LanguageProblem: with what is missing.
    """
    if _RUNS in dataset.postprocess:
        from bench.language.programs import require_jail  # noqa: PLC0415  only where programs are run

        require_jail()


def executions_of(
    dataset: Dataset, questions: Sequence[Question], predictions: Mapping[str, StoredPrediction]
) -> dict[str, list[dict[str, str]]]:
    """Return outcome and detail of the program of each question; none for a dataset that runs no programs.

    Each program has been run to be graded; what became of it is remembered.
    """
    if _RUNS not in dataset.postprocess:
        return {}
    found: dict[str, list[dict[str, str]]] = {}
    for question in questions:
        prediction = predictions[question.key]
        if prediction.get("unclosed"):
            continue
        cut = bool(prediction.get("cut"))
        said = apply_postprocessors(dataset.postprocess, prediction["text"], question.fields, cut)
        if said is not None:
            outcome, _, detail = said.partition(": ")
            found[question.key] = [{"outcome": outcome, "detail": detail}]
    return found
