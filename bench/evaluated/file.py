"""The file in which a training script leaves one evaluation: its schema, and how it is read."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from bench.core.errors import TuningProblem
from bench.core.estimate import Estimate
from bench.core.files import replace_file
from bench.core.record import Gain, Json, Score

SCHEMA = "modelgate-evaluation-1"
KINDS = ("regression", "reranking")
"""What an evaluation may be of."""


class Point(msgspec.Struct, kw_only=True):
    """The score after a step; None where it does not exist."""

    step: int
    value: float | None


class StoredGain(Gain, frozen=True, kw_only=True):
    """A gain as it was stored.

    Attributes:
        expected: mean of what a random order is expected to be worth, for rankings.
    """

    expected: float | None = None


class StoredEvaluation(msgspec.Struct, kw_only=True):
    """One evaluation of a training script.

    Attributes:
        schema: :data:`SCHEMA`.
        kind: one of :data:`KINDS`.
        model, dataset: names that the script gives.
        prefix: of the metrics in the Trainer: ``eval``, ``eval_rerank``.
        step, epoch: of the training, when it was evaluated.
        history: the scores of this and all earlier evaluations.
        data: what was evaluated on, with its ``hash``.
        score: the primary metric.
        metrics: all of them, by name.
        gain: over a trivial predictor, where it is known.
        queries, tie_rule: of a ranking.
        files: tables, by format, relative to this file.
        left_out: what the evaluation reported and no record can hold, each with what it is.
    """

    schema: str
    kind: str
    model: str
    dataset: str
    prefix: str
    step: int
    epoch: float | None = None
    history: list[Point] = []
    data: dict[str, str | None]
    score: Score
    metrics: dict[str, Estimate]
    gain: StoredGain | None = None
    queries: dict[str, int] | None = None
    tie_rule: str | None = None
    files: dict[str, str] | None = None
    left_out: dict[str, str] = msgspec.field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write the file as a whole; a reader sees the old or the new one.

        Raises:
            ValueError: a number that JSON cannot hold.
            OSError: it cannot be written.
        """
        replace_file(path, json.dumps(msgspec.to_builtins(self), indent=1, allow_nan=False) + "\n")


def read(file: Path) -> StoredEvaluation:
    """Return an evaluation.

    Raises:
        TuningProblem: ``data_failed``: a file that cannot be read or does not have the schema.
    """
    try:
        content = msgspec.json.decode(file.read_bytes())
    except OSError as error:
        raise _problem(file, error.strerror or "it cannot be read") from error
    except (msgspec.DecodeError, RecursionError) as error:  # NaN is no JSON either
        raise _problem(file, "this is not JSON") from error
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise _problem(file, f"found the schema {schema!r}")
    try:
        stored = msgspec.convert(_named(content), StoredEvaluation)
    except msgspec.ValidationError as error:
        raise _problem(file, f"found a value that does not fit the schema ({error})") from error
    if stored.kind not in KINDS:
        raise _problem(file, f"found the kind {stored.kind!r}, none of {', '.join(KINDS)}")
    return stored


def _named(content: Json) -> Json:
    """Give each metric its name: files of version 0.1.0 have it as the key only."""
    metrics = content.get("metrics")
    if not isinstance(metrics, dict):
        return content
    named = {
        name: {**metric, "metric": name} if isinstance(metric, dict) else metric
        for name, metric in metrics.items()
    }
    return {**content, "metrics": named}


def _problem(file: Path, found: str) -> TuningProblem:
    return TuningProblem(
        "data_failed",
        f"{file}: {found}; expected an evaluation of the schema {SCHEMA!r} as RecordCallback writes it; evaluate again with "
        "this version",
    )
