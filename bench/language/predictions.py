"""Predictions on disk: appended question by question, so that a killed run continues where it stopped."""

from __future__ import annotations

import fcntl
import hashlib
import inspect
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import Any, Required, TypedDict

from bench.core.files import replace_file
from bench.core.names import content_hash
from bench.language.models.config import ModelConfig
from bench.language.spec import Dataset, Generation

Fingerprint = dict[str, str]

_HERE = Path(__file__).parent
# The code of this package that decides what a model is asked and how its answers are computed. The catalogue only names
# models: their weights and options are parts of the fingerprint by themselves.
_CODE = (
    "cells.py",
    "chat.py",
    "labels.py",
    "prompting.py",
    "pools.py",
    "retrieve.py",
    "backend.py",
    "server",
    "engine",
    "models",
    "inference.py",
)
_NO_CODE = ("models/catalog.py",)
# Fields that no prediction depends on by themselves. Any other one is decisive, also one that is added later.
_NOT_ASKED = {"source", "inference", "group", "prepare", "postprocess", "metrics", "judge"}
_NOT_DECISIVE = {
    "name", "path", "backend", "api_base", "tokenizer_path", "peft_path", "revision", "batch_size", "dtype",
    "max_out_len", "generation_kwargs",
}  # fmt: skip
# Parts of a fingerprint that need not be the same: rows are compared one by one.
_NOT_COMPARED = {"data"}


class StoredPrediction(TypedDict, total=False):
    """One line of a predictions file.

    Keys:
        key: of the question, unique in its dataset.
        index: number of the row.
        row: hash of the row as the source has it.
        parts: short hash of each of its fields.
        asked: hash of the words of the question: instruction, examples, query and choices.
        prompt: text before the answer, or the whole text that was scored.
        examples, dropped_examples: in-context examples in the prompt, and those that it was too long for.
        messages: of a chat, in place of the prompt.
        text: the answer that the model wrote.
        thought: what it thought before, which is no part of the answer.
        unclosed: whether the thought did not end.
        cut: whether the limit of its length ended the text.
        choices: without what separates them from the prompt.
        loglikelihoods: of the choices, in nats.
        tokens: scored tokens, of each choice or of the whole text.
        is_greedy: whether all tokens of a choice were the most likely ones; None if that is not known.
        unconditional: log-likelihoods of the choices without the question.
        perplexity: mean cross-entropy of each choice.
        loglikelihood: of the whole text.
        requests: what such a task asks, one after the other.
        answers: to each of these requests, one for each repeat.
        judge: name of the judge whose text this is.
        question: key of the question whose answer it judges.
        what: which answer, or in which position.
        reading: the verdict; None for one that could not be read.
    """

    key: Required[str]
    index: int
    row: str
    parts: dict[str, str]
    asked: str
    prompt: str
    examples: int
    dropped_examples: int
    messages: list[dict[str, str]]
    text: str
    thought: str
    unclosed: bool
    cut: bool
    choices: list[str]
    loglikelihoods: list[float]
    tokens: int | list[int]
    is_greedy: list[bool | None]
    unconditional: list[float]
    perplexity: list[float]
    loglikelihood: float
    requests: list[dict[str, Any]]
    answers: list[list[Any]]
    judge: str
    question: str
    what: str
    reading: str | int | None


class PredictionStore:
    """The predictions of one model on one dataset, which the shards of a run share.

    ``<directory>/<model>/<dataset>.jsonl`` holds a line for each question, ``<dataset>.fingerprint.json`` what they depend
    on, ``<dataset>.executions.json`` what became of programs that were run.

    Args:
        directory: ``predictions`` of a run.
        model, dataset: names.
    """

    def __init__(self, directory: Path, model: str, dataset: str) -> None:
        self.path = directory / model / f"{dataset}.jsonl"
        self._fingerprint_path = self.path.with_suffix(".fingerprint.json")

    def open(self, fingerprint: Fingerprint) -> None:
        """Create the folder and write the fingerprint."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._fingerprint_path, json.dumps(fingerprint, indent=1) + "\n")

    def append(self, predictions: Iterable[StoredPrediction]) -> None:
        """Append lines; a lock keeps the lines of different shards apart."""
        text = "".join(json.dumps(prediction, allow_nan=False) + "\n" for prediction in predictions)
        if not text:
            return
        with open(self.path, "a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(text)

    def read(self) -> dict[str, StoredPrediction]:
        """Return the predictions by question; an unfinished line of a killed run is left out."""
        found: dict[str, StoredPrediction] = {}
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

    def keep_executions(self, executions: Mapping[str, list[dict[str, str]]]) -> Path:
        """Write what became of the programs among the answers, by question, into ``<dataset>.executions.json``.

        Args:
            executions: of each question, for each of its answers ``outcome`` and ``detail``.

        Returns:
            The file.
        """
        path = self.path.with_suffix(".executions.json")
        replace_file(path, json.dumps(executions, indent=1) + "\n")
        return path

    def fingerprint(self) -> Fingerprint | None:
        """Return what the predictions depend on; None if there are none."""
        try:
            stored: Fingerprint = json.loads(self._fingerprint_path.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return stored


def decisive_settings(dataset: Dataset, model: ModelConfig, seed: int) -> dict[str, object]:
    """Return the settings of a run on which predictions depend besides model, data and prompt."""
    generates = isinstance(dataset.inference, Generation)
    drawn = generates and draws(model.generation_kwargs)
    decisive = {
        each.name: getattr(model, each.name) for each in fields(model) if each.name not in _NOT_DECISIVE
    }
    return {
        **{name: dict(value) if isinstance(value, Mapping) else value for name, value in decisive.items()},
        "max_out_len": model.max_out_len if generates else None,
        "generation": dict(model.generation_kwargs) if generates else None,
        "seed": seed if drawn or dataset.examples.retriever == "random" else None,
    }


def draws(generation_kwargs: Mapping[str, Any]) -> bool:
    """Whether answers may be drawn at random: only those are certain to be greedy that ask for no sampling at all."""
    temperature = generation_kwargs.get("temperature")
    return bool(generation_kwargs.get("do_sample")) or temperature not in (None, 0, 0.0)


def fingerprint_of(
    dataset: Dataset, *, model: str, dtype: str, data: str, settings: Mapping[str, object], examples: str = ""
) -> Fingerprint:
    """Return what predictions depend on, part by part.

    Post-processors and metrics are not included: they are applied to stored predictions in every run.

    Args:
        dataset: what is asked.
        model, dtype: the backend's.
        data: hash of the rows that are asked. Each prediction names its own row besides, so that other rows do not matter.
        settings: of the run, see `decisive_settings`.
        examples: hash of the rows for in-context examples.
    """
    asked = {name: value for name, value in asdict(dataset).items() if name not in _NOT_ASKED}
    asked["prepare"] = _source(dataset.prepare)
    return {
        "model": model,
        "dtype": dtype,
        "prompt": content_hash(asked),
        "data": data,
        "examples": examples,
        "rule": content_hash(asdict(dataset.inference)),
        "settings": content_hash(dict(settings)),
        "code": code_version(),
    }


def differing(stored: Fingerprint, wanted: Fingerprint) -> list[str]:
    """Return the parts in which two fingerprints differ."""
    return [part for part in wanted if part not in _NOT_COMPARED and stored.get(part, "") != wanted[part]]


@cache
def code_version(package: Path = _HERE) -> str:
    """Return a hash of the code that predictions depend on.

    Args:
        package: folder of the language kind.
    """
    files = [
        file
        for name in _CODE
        for file in ([package / name] if name.endswith(".py") else (package / name).glob("*.py"))
    ]
    digest = hashlib.sha256()
    for file in sorted(files):
        name = file.relative_to(package).as_posix()
        if name not in _NO_CODE:
            digest.update(f"{name}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _source(function: Any) -> str:
    """Return the text of a function and of the other functions of its module, on which it may depend."""
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
