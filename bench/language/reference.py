"""Compares a run with an earlier one on the same questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.core.errors import LanguageProblem
from bench.core.estimate import Estimate
from bench.core.gate import Limit, gate
from bench.core.verdict import Verdict
from bench.language.case import LanguageCase
from bench.language.grading import Graded, compare, grade
from bench.language.joining import join, require_all
from bench.language.predictions import PredictionStore, StoredPrediction
from bench.language.prompting import Question
from bench.language.record import Reference
from bench.language.spec import Dataset

GradeOther = Callable[[Mapping[str, StoredPrediction]], Mapping[str, Graded]]


def compare_with_run(
    run: Path, case: LanguageCase, dataset: Dataset, questions: Sequence[Question], metrics: Mapping[str, Graded],
    margin: float, seed: int, warn: Callable[[str], None] = lambda _: None, grade_other: GradeOther | None = None,
) -> tuple[Reference | None, Verdict]:  # fmt: skip
    """Return the comparison of a case's first metric with an earlier run's on the same questions, and its verdict.

    One question cannot be compared: then there is no comparison, and the verdict is inconclusive.

    Args:
        run: directory of the earlier run.
        case: the case.
        dataset: its dataset.
        questions: of the whole dataset.
        metrics: of this run.
        margin: how much worse is still good enough, in the unit of the table.
        seed: of the bootstrap.
        warn: takes a sentence for a reader of the comparison.
        grade_other: returns the metrics of the stored predictions; None computes the dataset's own.

    Raises:
        LanguageProblem: a run without predictions of these rows.
    """
    model, stored = reference_predictions(run, case, dataset, questions, warn)
    name, graded = next(iter(metrics.items()))
    other = (grade(dataset, questions, stored, seed) if grade_other is None else grade_other(stored))[name]
    return held(compare(graded, other, seed), f"{model} in {run.name}", margin)


def reference_predictions(
    run: Path,
    case: LanguageCase,
    dataset: Dataset,
    questions: Sequence[Question],
    warn: Callable[[str], None],
) -> tuple[str, dict[str, StoredPrediction]]:
    """Return which model of an earlier run is compared with, and its predictions by question.

    Raises:
        LanguageProblem: a run without predictions of these rows.
    """
    model = reference_model(run, case.model)
    joined = join(PredictionStore(run / "predictions", model, case.dataset).read(), questions)
    stored = require_all(
        joined, dataset, f"--reference {run.name}, {model} on {case.dataset}",
        "evaluate the reference on the rows of this run, or name another run", wording=False,
    )  # fmt: skip
    if joined.reworded:
        warn(
            f"{len(joined.reworded)} questions were asked in other words, or with other examples, in {run.name}"
        )
    return model, stored


def held(difference: Estimate, named: str, margin: float) -> tuple[Reference | None, Verdict]:
    """Return a difference to a reference run for the record, and the verdict by its margin.

    Args:
        difference: above 0 where this run is better.
        named: model and run that it is compared with.
        margin: how much worse is still good enough.
    """
    limit = Limit(
        bound=-margin,
        missed="worse_than_reference",
        undecided="reference_undecided",
        advice="see results/ for the samples",
        more="evaluate more rows",
    )
    value, low, high, n = difference.value, difference.low, difference.high, difference.n
    if value is None or low is None or high is None or n is None:
        return None, gate(difference, limit, shown=f"difference to {named}")
    shown = f"{value:+.2f} [{low:+.2f}, {high:+.2f}] against {named}"
    reference = Reference(run=named, difference=value, low=low, high=high, margin=margin, n=n)
    return reference, gate(difference, limit, shown=shown, required=f"margin {margin:g}")


def reference_model(run: Path, model: str) -> str:
    """Return which model of an earlier run to compare with: the one of the same name, else the only one.

    Raises:
        LanguageProblem: neither exists.
    """
    folder = run / "predictions"
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []
    if model in names:
        return model
    if len(names) != 1:
        raise LanguageProblem(
            "predictions_missing",
            f"--reference {run}: found predictions of {', '.join(names) or 'no model'}, expected those of {model} or of "
            "one model only; name another run",
        )
    return names[0]
