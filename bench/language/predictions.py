"""Predictions on disk: appended question by question, so that a killed run goes on where it stopped."""

from __future__ import annotations

import fcntl
import hashlib
import inspect
import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from bench.core.names import content_hash
from bench.language.spec import Dataset

Prediction = dict[str, Any]
Fingerprint = dict[str, str]

# What of this package decides what a model is asked and how its answers are computed.
_CODE = (
    "prompting.py",
    "retrieve.py",
    "backend.py",
    "server",
    "engine",
    "inference.py",
)


class PredictionStore:
    """The predictions of one model on one dataset, shared by the shards of a run.

    ``<directory>/<model>/<dataset>.jsonl`` holds a line per question, ``<dataset>.fingerprint.json`` beside it
    what they depend on.

    Args:
        directory: ``predictions`` of a run.
        model, dataset: names.
    """

    def __init__(self, directory: Path, model: str, dataset: str) -> None:
        self.path = directory / model / f"{dataset}.jsonl"
        self._fingerprint_path = self.path.with_suffix(".fingerprint.json")

    def open(self, fingerprint: Fingerprint) -> None:
        """Make the files ready to be appended to."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._fingerprint_path.with_name(f".{self._fingerprint_path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(fingerprint, indent=1) + "\n")
        temporary.replace(self._fingerprint_path)

    def append(self, predictions: Iterable[Prediction]) -> None:
        """Append lines; those of other shards do not get in between."""
        text = "".join(json.dumps(prediction, allow_nan=False) + "\n" for prediction in predictions)
        if not text:
            return
        with open(self.path, "a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(text)

    def read(self) -> dict[str, Prediction]:
        """Return the predictions by question; a line that a killed run left unfinished is no prediction."""
        found: dict[str, Prediction] = {}
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").split("\n")
        except FileNotFoundError:
            return found
        for line in lines:
            try:
                prediction = json.loads(line)
                found[prediction["key"]] = prediction
            except (json.JSONDecodeError, KeyError, TypeError):
                continue
        return found

    def fingerprint(self) -> Fingerprint | None:
        """Return what the predictions depend on, None where there are none."""
        try:
            stored: Fingerprint = json.loads(self._fingerprint_path.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return stored


def fingerprint_of(
    dataset: Dataset, *, model: str, dtype: str, data: str, settings: dict[str, Any]
) -> Fingerprint:
    """Return what predictions depend on, part by part.

    Post-processors and metrics are no part: they are applied to stored predictions anew each time.

    Args:
        dataset: what is asked.
        model, dtype: the backend's.
        data: hash of the rows, those for in-context examples included.
        settings: of the run, as plain builtins: seed, length limits, options of generation.
    """
    asked = {
        "prompt": dataset.prompt, "choices": dataset.choices, "separator": dataset.separator,
        "answer": dataset.answer, "gold": dataset.gold, "circular": dataset.circular,
        "examples": asdict(dataset.examples), "prepare": _source(dataset.prepare), "version": dataset.version,
    }  # fmt: skip
    return {
        "model": model,
        "dtype": dtype,
        "prompt": content_hash(asked),
        "data": data,
        "rule": content_hash(asdict(dataset.inference)),
        "settings": content_hash(settings),
        "code": code_version(),
    }


def differing(stored: Fingerprint, wanted: Fingerprint) -> list[str]:
    """Return the parts in which two fingerprints differ."""
    return [part for part in wanted if stored.get(part) != wanted[part]]


@cache
def code_version() -> str:
    """Return a hash of the code that predictions depend on."""
    here = Path(__file__).parent
    files = [
        file
        for name in _CODE
        for file in ([here / name] if name.endswith(".py") else (here / name).glob("*.py"))
    ]
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file.relative_to(here).as_posix()}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _source(function: Any) -> str:
    """Return the text of a function and of the module around it, on whose other functions it may depend."""
    if function is None:
        return ""
    try:
        module = inspect.getmodule(function)
        helpers = [
            inspect.getsource(value)
            for value in vars(module).values()
            if inspect.isfunction(value) and value.__module__ == function.__module__
        ]
        return "\n".join([inspect.getsource(function), *sorted(helpers)])
    except (OSError, TypeError):
        return repr(getattr(function, "__code__", function))
