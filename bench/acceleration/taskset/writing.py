"""A task set as files: annotation and generation lists, and the pipeline files that they name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.acceleration.taskset.pipeline_file import Style, pipeline_text
from bench.acceleration.taskset.setups import Setup
from bench.acceleration.taskset.tasks import SetTask
from bench.core.errors import UsageProblem
from bench.core.files import describe_error, replace_file

MANIFEST = "taskset.json"
SCHEMA = "modelgate-taskset-1"
LISTS = ("anno.json", "gen.json", "anno_wrong.json", "wrong.json")
"""The tasks with their reference candidates, and the candidates that must be rejected."""
Entry = dict[str, Any]


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        folder: where.
        files: how many pipeline files.
    """

    folder: Path
    files: int


def write_tasks(folder: Path, tasks: Sequence[SetTask], made_from: Entry) -> Written:
    """Write a task set; one of ours that is there already is replaced, with every other file left alone.

    Args:
        folder: new, empty, or holding a task set.
        tasks: of the set.
        made_from: what repeats it, for its manifest.

    Raises:
        UsageProblem: the folder holds something else, or cannot be written.
    """
    try:
        _prepare(folder)
        texts = _texts(tasks)
        # First of all, so that a set whose writing was cut short is known for one of ours.
        manifest = {"schema": SCHEMA, **made_from, "tasks": len(tasks), "files": sorted([*LISTS, *texts])}
        _write(folder / MANIFEST, json.dumps(manifest, indent=1))
        for name, text in texts.items():
            _write(folder / name, text)
    except OSError as error:
        raise UsageProblem(
            f"{folder}: {describe_error(error)}; expected a folder that can be written; make room there or name another"
        ) from error
    return Written(folder, len(texts) - len(LISTS))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, f"{text.rstrip()}\n".encode())


def _prepare(folder: Path) -> None:
    """Remove the files of an earlier set of ours."""
    if folder.exists() and not folder.is_dir():
        raise UsageProblem(f"{folder}: found a file, expected a folder; name another one with --out")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    for name in _earlier_files(folder):
        path = folder / name
        # A manifest that somebody changed must not lead out of the folder.
        if path.resolve().is_relative_to(folder.resolve()):
            path.unlink(missing_ok=True)


def _earlier_files(folder: Path) -> list[str]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["schema"] == SCHEMA:
            return [str(name) for name in manifest["files"]]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        pass  # whatever is there, we did not write it
    raise UsageProblem(
        f"{folder}: found a folder with other files and no task set, expected an empty one or a task set; name another "
        "folder with --out"
    )


def _texts(tasks: Sequence[SetTask]) -> dict[str, str]:
    """Return the text of every file by its path; what several tasks share is there once."""
    texts: dict[str, str] = {}
    lists: dict[str, list[Entry]] = {name: [] for name in LISTS}
    annotations, candidates, wrong_annotations, wrong = lists.values()

    def add(role: str, setup: Setup, style: Style | None = None, waits_s: float | None = None) -> str:
        waits = "" if waits_s is None else f"waits{waits_s:g}".replace(".", "_")
        name = "-".join(part for part in (setup.name, style, waits) if part)
        path = f"pipelines/{role}/{name}.py"
        if path not in texts:
            texts[path] = pipeline_text(setup, style or "module", waits_s=waits_s)
        return path

    for task in tasks:
        entry: Entry = {
            "prompt_id": task.name,
            "difficulty": task.difficulty,
            "level": task.level,
            "prompt_context": task.text,
            "target_file": add("targets", task.target),
            "baseline_file": add("baselines", task.baseline),
            **({"methods": list(task.methods)} if task.methods else {}),
            **({"prompts_file": prompts} if (prompts := task.target.model.prompts_file) else {}),
            **({"requires": ["cuda"]} if task.target.model.device else {}),
        }
        annotations.append(entry)
        right = add("candidates", task.target, task.style)
        candidates.append({"prompt_id": task.name, "candidate_file": right})
        name = f"{task.name}-{task.fault}"
        wrong_annotations.append({**entry, "prompt_id": name, "expect": task.faulty.expect})
        file = add("wrong", task.faulty.setup, task.style, task.faulty.waits_s)
        wrong.append({"prompt_id": name, "candidate_file": file})
    return texts | {name: json.dumps(entries, indent=1) for name, entries in lists.items()}
