"""Earlier runs: where they are, and which of their predictions still fit."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.errors import UsageProblem
from bench.core.options import Setting
from bench.language.predictions import Fingerprint, PredictionStore, StoredPrediction, differing

if TYPE_CHECKING:
    from bench.language.prompting import Question

LATEST = "latest"


def find_run(name: str, option: str, setting: Setting) -> Path:
    """Return the directory of an earlier run.

    ``latest`` is the newest run when this one began. The link of that name moves to this run as soon as this run writes
    anything, and a worker that is started again later would follow it.

    Args:
        name: ``latest``, the name of a run in the work directory, or a path.
        option: that gives the name, for messages.
        setting: of this run.

    Raises:
        UsageProblem: there is no such run.
    """
    work_dir = setting.run.work_dir
    known = name == LATEST and setting.latest is not None
    for path in (setting.latest,) if known else (work_dir / name, setting.local_path(name)):
        if path is not None and (path / "predictions").is_dir():
            return path.resolve()
    runs = sorted(path.parent.name for path in work_dir.glob("*/predictions") if path.parent.name != LATEST)
    raise UsageProblem(
        f"{option} {name}: found no such run in {work_dir}, and no directory of a run; expected {LATEST}, a name "
        f"({', '.join(runs[-3:]) or 'there is none yet'}) or a directory; correct it"
    )


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
