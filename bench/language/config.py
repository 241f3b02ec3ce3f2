"""Configuration files: Python with lists ``models`` and ``datasets``. A file may import another one next to it."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.core.errors import ModelProblem, UsageProblem
from bench.core.raised import told
from bench.language.models.catalog import MODELS
from bench.language.models.config import ModelConfig
from bench.language.opencompass import is_opencompass_entry, refusal, translated_entry, translated_file

RULES = ("average", "weighted", "harmonic")


@dataclass(frozen=True)
class SummaryGroup:
    """Datasets whose first metrics are combined into one number of the summary.

    Attributes:
        name: in the table.
        datasets: their names; empty is all of the run.
        rule: ``average``, ``weighted`` (by the number of samples) or ``harmonic``.
    """

    name: str
    datasets: tuple[str, ...] = ()
    rule: str = "average"


DEFAULT_GROUPS = tuple(SummaryGroup("all", rule=rule) for rule in RULES)


@dataclass(frozen=True)
class RunConfig:
    """What configuration files say together.

    Attributes:
        models: configurations.
        datasets: names.
        min_scores: required scores by dataset.
        groups: rows of the summary that combine several datasets.
        files: the files, for the record.
    """

    models: tuple[ModelConfig, ...] = ()
    datasets: tuple[str, ...] = ()
    min_scores: dict[str, float] = field(default_factory=dict)
    groups: tuple[SummaryGroup, ...] = DEFAULT_GROUPS
    files: tuple[str, ...] = ()


def read_config(files: Sequence[Path]) -> RunConfig:
    """Run configuration files and return what they define together.

    ``models`` holds names of the catalogue, :class:`ModelConfig` objects, or dictionaries of their fields.
    ``datasets`` holds names, or dictionaries with ``name`` and ``min_score``. ``summary_groups`` holds dictionaries with
    ``name``, ``datasets`` and ``rule`` (or ``how``, its earlier name).

    Raises:
        UsageProblem: a file that is missing, cannot be run, or defines something else.
    """
    models: list[ModelConfig] = []
    datasets: list[str] = []
    min_scores: dict[str, float] = {}
    groups: list[SummaryGroup] = []
    for file in files:
        found = _run(file)
        models += [_model(entry, file) for entry in _listed(found, "models", file)]
        for entry in _listed(found, "datasets", file):
            name, score = _dataset(entry, file)
            datasets.append(name)
            if score is not None:
                min_scores[name] = score
        groups += [_group(entry, file) for entry in _listed(found, "summary_groups", file)]
    return RunConfig(
        tuple(models), tuple(dict.fromkeys(datasets)), min_scores, tuple(groups) or DEFAULT_GROUPS,
        tuple(map(str, files)),
    )  # fmt: skip


def _run(file: Path) -> Mapping[str, Any]:
    if not file.is_file():
        raise UsageProblem(
            f"--config {file}: no such file; expected Python with `models` and `datasets`; correct the path"
        )
    translation = translated_file(file.read_text(encoding="utf-8", errors="replace"))
    if translation is not None:
        raise UsageProblem(refusal(f"--config {file}", translation))
    folder = str(file.parent)
    sys.path.insert(0, folder)
    try:
        return runpy.run_path(str(file))
    except (Exception, SystemExit) as error:
        raise UsageProblem(f"--config {file}: {told(error, file.parent)}; fix the file") from error
    finally:
        sys.path.remove(folder)


def _listed(found: Mapping[str, Any], name: str, file: Path) -> Iterable[Any]:
    entries = found.get(name, [])
    if not isinstance(entries, list | tuple):
        raise _wrong(file, name, entries, "a list")
    return entries


def _model(entry: Any, file: Path) -> ModelConfig:
    if isinstance(entry, ModelConfig):
        return entry
    if isinstance(entry, str):
        if entry not in MODELS:
            raise UsageProblem(f"--config {file}: {MODELS.unknown(entry)}")
        return MODELS[entry]
    _refuse_opencompass(entry, file)
    if isinstance(entry, dict):
        try:
            return ModelConfig(**entry)
        except TypeError as error:
            raise _wrong(file, "models", entry, "the fields of ModelConfig") from error
        except ModelProblem as problem:
            raise UsageProblem(f"--config {file}: {problem}") from problem
    raise _wrong(file, "models", entry, "a name, a ModelConfig or a dictionary of its fields")


def _dataset(entry: Any, file: Path) -> tuple[str, float | None]:
    if isinstance(entry, str):
        return entry, None
    _refuse_opencompass(entry, file)
    if (
        isinstance(entry, dict)
        and isinstance(entry.get("name"), str)
        and entry.keys() <= {"name", "min_score"}
    ):
        score = entry.get("min_score")
        if score is None or (isinstance(score, int | float) and not isinstance(score, bool)):
            return entry["name"], None if score is None else float(score)
    raise _wrong(file, "datasets", entry, "a name, or a dictionary with name and min_score, a number")


def _group(entry: Any, file: Path) -> SummaryGroup:
    if isinstance(entry, dict) and entry.keys() <= {"name", "datasets", "rule", "how"}:
        name, datasets = entry.get("name"), entry.get("datasets", ())
        rule = entry.get("rule", entry.get("how", "average"))
        if isinstance(name, str) and isinstance(datasets, list | tuple) and rule in RULES:
            return SummaryGroup(name, tuple(datasets), rule)
    raise _wrong(
        file, "summary_groups", entry, f"a dictionary with name, datasets and rule, one of {', '.join(RULES)}"
    )


def _refuse_opencompass(entry: Any, file: Path) -> None:
    if is_opencompass_entry(entry):
        raise UsageProblem(refusal(f"--config {file}", translated_entry(entry)))


def _wrong(file: Path, name: str, found: Any, expected: str) -> UsageProblem:
    return UsageProblem(
        f"--config {file}: found {found!r:.120} in {name}, expected {expected}; correct the file"
    )
