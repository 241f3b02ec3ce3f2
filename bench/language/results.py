"""Results of a whole dataset, sample by sample."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from bench.core.places import Places
from bench.core.record import Record
from bench.language.grading import Graded
from bench.language.models.config import ModelConfig
from bench.language.prompting import Question
from bench.language.spec import Dataset


def write_results(
    path: Path, model: ModelConfig, dataset: Dataset, record: Record, questions: Sequence[Question],
    metrics: Mapping[str, Graded], places: Places, answers: Mapping[str, Sequence[Any]] | None = None,
) -> None:  # fmt: skip
    """Write ``results/<model>/<dataset>.json``: what was asked of which model, and the value of each sample.

    Args:
        path: the file.
        model: that was asked.
        dataset: that it was asked about.
        record: of the case; its data and fingerprint are copied.
        questions: of the whole dataset.
        metrics: of the whole dataset.
        places: make the paths of the model and the data relative.
        answers: of `bench.language.readable`, by name.
    """
    asked = [number for number, question in enumerate(questions) if not question.sample]
    write_json(
        path,
        {
            "model": places.tidy(asdict(model)),
            "dataset": record.body.dataset,
            "version": dataset.version,
            "protocol": dataset.protocol,
            "data": places.tidy(record.data),
            "fingerprint": places.tidy(record.body.fingerprint),
            "metrics": {name: graded.score for name, graded in metrics.items()},
            "keys": [question.key for question in questions if not question.sample],
            "values": {name: graded.values for name, graded in metrics.items()},
            **{name: [texts[number] for number in asked] for name, texts in (answers or {}).items()},
        },
    )


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a file of results; scores are written as records have them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(msgspec.to_builtins(value), indent=1) + "\n", encoding="utf-8")
