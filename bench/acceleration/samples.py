"""Raw material of a record on disk: a row per sample, and all timed rounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

from bench.core.case import AccelerationCase


class Evaluated(Protocol):
    """What is written of an evaluation."""

    case: AccelerationCase
    record: dict[str, Any]
    samples_log: list[dict[str, Any]]


def write_samples(directory: Path, evaluated: Evaluated) -> None:
    """Write ``predictions/<model>/<id>.jsonl`` and ``results/<model>/<id>.json`` below a run's directory.

    The model is the second part of the id, as in the test's name.
    """
    parts = evaluated.case.id.split("-")
    model = parts[1] if len(parts) > 1 else "unknown"
    for folder, suffix, text in (
        ("predictions", "jsonl", "".join(json.dumps(row) + "\n" for row in evaluated.samples_log)),
        ("results", "json", json.dumps(evaluated.record, indent=1) + "\n"),
    ):
        target = directory / folder / model
        target.mkdir(parents=True, exist_ok=True)
        if text:
            (target / f"{evaluated.case.id}.{suffix}").write_text(text)
