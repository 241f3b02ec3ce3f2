"""Cases of the evaluated kind: a case per file."""

from __future__ import annotations

from pathlib import Path

from bench.core.errors import TuningProblem
from bench.core.options import Setting
from bench.evaluated.case import EvaluatedCase
from bench.evaluated.file import read
from bench.evaluated.options import EvaluatedOptions


def make_cases(options: EvaluatedOptions, setting: Setting) -> list[EvaluatedCase]:
    """Return a case for each evaluation; a file that cannot be read is a case with a problem."""
    cases: dict[str, EvaluatedCase] = {}
    for file in (file for directory in options.evaluated for file in sorted(directory.glob("*.json"))):
        identity = f"evaluated-{file.stem.lower()}"
        while identity in cases:  # the same names in two folders
            identity += "-again"
        cases[identity] = _case(identity, file, len(cases))
    return list(cases.values())


def _case(identity: str, file: Path, order: int) -> EvaluatedCase:
    try:
        stored = read(file)
    except TuningProblem as problem:
        return EvaluatedCase(identity, file, problem=str(problem), order=order)
    metrics = tuple(stored.metrics)
    return EvaluatedCase(
        identity, file, model=stored.model, dataset=stored.dataset, metrics=metrics, order=order
    )
