"""Configuration files: Python with lists ``models`` and ``datasets``, which compose by importing each other."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.language.models.catalog import MODELS
from bench.language.models.config import ModelConfig, ModelProblem
from bench.language.report import DEFAULT_GROUPS, Group


@dataclass(frozen=True)
class RunConfig:
    """What configuration files say together.

    Attributes:
        models: configurations.
        datasets: names.
        min_scores: required scores by dataset.
        groups: rows of the summary that put several datasets into one number.
        files: the files, for the record.
    """

    models: tuple[ModelConfig, ...] = ()
    datasets: tuple[str, ...] = ()
    min_scores: dict[str, float] = field(default_factory=dict)
    groups: tuple[Group, ...] = DEFAULT_GROUPS
    files: tuple[str, ...] = ()


def read_config(files: Sequence[Path]) -> RunConfig:
    """Run configuration files and put together what they define.

    ``models`` holds names of the catalogue, :class:`ModelConfig` objects, or dictionaries of their fields.
    ``datasets`` holds names, or dictionaries with ``name`` and ``min_score``. ``summary_groups`` holds dictionaries
    with ``name``, ``datasets`` and ``how``. A file may import from others beside it.

    Raises:
        ModelProblem: when a file is missing, cannot be run, or defines something else.
    """
    models: list[ModelConfig] = []
    datasets: list[str] = []
    min_scores: dict[str, float] = {}
    groups: list[Group] = []
    for file in files:
        found = _run(file)
        for entry in _listed(found, "models", file):
            models.append(_model(entry, file))
        for entry in _listed(found, "datasets", file):
            name, score = _dataset(entry, file)
            datasets.append(name)
            if score is not None:
                min_scores[name] = score
        for entry in _listed(found, "summary_groups", file):
            try:
                groups.append(
                    Group(entry["name"], tuple(entry.get("datasets", ())), entry.get("how", "average"))
                )
            except (KeyError, TypeError, AttributeError) as error:
                raise _wrong(
                    file, "summary_groups", entry, "a dictionary with name, datasets and how"
                ) from error
    return RunConfig(
        tuple(models), tuple(dict.fromkeys(datasets)), min_scores, tuple(groups) or DEFAULT_GROUPS,
        tuple(map(str, files)),
    )  # fmt: skip


def _run(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise ModelProblem(f"--config {file}: no such file; expected Python with `models` and `datasets`")
    beside = str(file.parent)
    sys.path.insert(0, beside)
    try:
        return runpy.run_path(str(file))
    except Exception as error:
        raise ModelProblem(f"--config {file}: {type(error).__name__}: {error}; mend the file") from error
    finally:
        sys.path.remove(beside)


def _listed(found: dict[str, Any], name: str, file: Path) -> Iterable[Any]:
    entries = found.get(name, [])
    if not isinstance(entries, list | tuple):
        raise _wrong(file, name, entries, "a list")
    return entries


def _model(entry: Any, file: Path) -> ModelConfig:
    if isinstance(entry, ModelConfig):
        return entry
    if isinstance(entry, str):
        return MODELS[entry]
    if isinstance(entry, dict):
        try:
            return ModelConfig(**entry)
        except TypeError as error:
            raise _wrong(file, "models", entry, "the fields of ModelConfig") from error
    raise _wrong(file, "models", entry, "a name, a ModelConfig or a dictionary of its fields")


def _dataset(entry: Any, file: Path) -> tuple[str, float | None]:
    if isinstance(entry, str):
        return entry, None
    if (
        isinstance(entry, dict)
        and isinstance(entry.get("name"), str)
        and entry.keys() <= {"name", "min_score"}
    ):
        score = entry.get("min_score")
        return entry["name"], None if score is None else float(score)
    raise _wrong(file, "datasets", entry, "a name, or a dictionary with name and min_score")


def _wrong(file: Path, name: str, found: Any, expected: str) -> ModelProblem:
    return ModelProblem(f"--config {file}: found {found!r:.120} in {name}, expected {expected}")
