"""Tasks of lm-evaluation-harness on synthetic rows: a model that reads long prompts, and what the harness itself measures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from harness_rows import write_rows
from suites import ROOT

from bench.language.harness.data import wanted_splits
from bench.language.harness.index import build_index, installed_tasks
from bench.language.harness.selection import select

TINY = ROOT / "fixtures/zoo/tiny-lm"
CHAT = (
    "{% for message in messages %}<{{ message.role }}> {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant> {% endif %}"
)
LENGTH = 16
# Where the harness finds rows that a task's own Python code names.
_OF_CLASSES = {"squadv2": "lighteval/squad_v2"}
_FORMS = ("json", "csv", "parquet")


def long_model(directory: Path) -> Path:
    """Save tiny-lm with a chat template and with room for long prompts: its positions have no weights."""
    directory.mkdir(parents=True)
    for file in TINY.iterdir():
        if file.suffix in (".json", ".safetensors"):
            shutil.copy(file, directory)
    config = json.loads((TINY / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 4096}))
    tokenizer = json.loads((TINY / "tokenizer_config.json").read_text())
    (directory / "tokenizer_config.json").write_text(
        json.dumps({**tokenizer, "chat_template": CHAT, "model_max_length": 4096})
    )
    return directory


def write_task_rows(folder: Path, names: Sequence[str], include: Sequence[Path] = ()) -> None:
    """Write rows for tasks and groups."""
    selection = select(list(names), build_index([installed_tasks(), *include]))
    for task in selection.tasks.values():
        path = task.config.get("dataset_path") or _OF_CLASSES.get(task.name)
        if path is not None and path not in _FORMS:
            splits = wanted_splits(task) or ["train", "validation"]
            write_rows(folder, path, task.config.get("dataset_name"), splits)


@contextmanager
def rows_of(folder: Path) -> Iterator[None]:
    """Let the harness load the same rows by the library of the hub."""
    import datasets

    original = datasets.load_dataset

    def load(path: str, name: str | None = None, **_: Any) -> Any:
        place = folder / path / name if name else folder / path
        return original("json", data_files={file.stem: str(file) for file in sorted(place.glob("*.jsonl"))})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "load_dataset", load)
        yield


def measured_by_harness(
    lm: Any, names: Sequence[str], folder: Path, include: Sequence[Path] = (), **options: Any
) -> dict[str, Any]:
    """Return what lm-evaluation-harness itself measures, without its own bootstrap."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=[str(one) for one in include] or None)
    with rows_of(folder):
        found: dict[str, Any] = lm_eval.simple_evaluate(
            lm, tasks=list(names), task_manager=manager, bootstrap_iters=0, batch_size=16, **options
        )
    return found
