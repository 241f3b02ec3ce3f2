"""Options of the evaluated cases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import UsageProblem
from bench.core.options import Setting, option


@dataclass(frozen=True)
class EvaluatedOptions:
    """Options of the evaluated cases; what they must reach is said by ``--require``."""

    evaluated: tuple[Path, ...] = option(
        "folders with evaluations that a RecordCallback wrote", (), metavar="DIR", selects=True
    )


def resolve(options: EvaluatedOptions, setting: Setting) -> EvaluatedOptions:
    """Check the folders.

    Raises:
        UsageProblem: one without an evaluation.
    """
    for directory in options.evaluated:
        if not any(directory.glob("*.json")):
            raise UsageProblem(
                f"--evaluated {directory}: found no evaluations (*.json), expected a folder that "
                "bench.evaluated.callback.RecordCallback wrote to; correct the path"
            )
    return options
