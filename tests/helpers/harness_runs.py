"""Tasks of lm-evaluation-harness on synthetic rows: our runs in this process, and what the harness itself measures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from harness_rows import write_rows
from language_toys import options, setting
from suites import ROOT

from bench.core.errors import ModelgateError
from bench.core.evaluation import RunContext
from bench.core.record import Record
from bench.core.requirement import parse_requirement
from bench.language.cases import make_cases
from bench.language.evaluation import LanguageResources
from bench.language.harness.data import wanted_splits
from bench.language.harness.index import build_index
from bench.language.harness.selection import select
from bench.language.harness.tasks import TaskLoader
from bench.language.kind import KIND
from bench.language.options import resolve
from bench.language.rows import RowReader

TINY = ROOT / "fixtures/zoo/tiny-lm"
CHAT = (
    "{% for message in messages %}<{{ message.role }}> {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant> {% endif %}"
)
LENGTH = 16
# Where the harness finds rows that a task's own Python code names.
_OF_CLASSES = {"squadv2": "lighteval/squad_v2"}
_FORMS = ("json", "csv", "parquet")


class HarnessBench:
    """Runs of tasks in this process, on one loaded model.

    Args:
        directory: where runs lie.
        load: returns the model of a configuration.
    """

    def __init__(self, directory: Path, load: Any) -> None:
        self.directory, self._load = directory, load

    def run(
        self,
        name: str,
        *,
        require: Sequence[str] = (),
        run: dict[str, Any] | None = None,
        workers: int = 1,
        **fields: Any,
    ) -> dict[str, Record]:
        """Return the records of a run by id; `fields` are options as the command line gives them."""
        made = resolve(options(**fields), setting(self.directory, *fields, workers=workers, **(run or {})))
        asked = setting(self.directory, workers=workers)
        cases = sorted(make_cases(made, asked), key=lambda case: (case.group, -case.cost))
        KIND.check(made, cases)
        place = self.directory / name
        context = RunContext(
            place,
            place / "scratch",
            requirements=tuple(parse_requirement(one, [KIND.name]) for one in require),
        )
        resources = LanguageResources(made, RowReader(made.data), self._load, TaskLoader(made.harness.data))
        records = {}
        for case in cases:
            if case.problem is not None:
                records[case.id] = case.blank()
                records[case.id].reason = case.problem
                continue
            with KIND.evaluation(case, context, resources) as evaluation:
                with suppress(ModelgateError):  # it is in the record
                    evaluation.run()
                records[case.id] = evaluation.record
        return records

    def results(self, name: str, task: str, model: str = "long") -> dict[str, Any]:
        """Return the results file of a task."""
        found: dict[str, Any] = json.loads(
            (self.directory / name / f"results/{model}/{task}.json").read_text()
        )
        return found

    def predictions(self, name: str, task: str, model: str = "long") -> list[dict[str, Any]]:
        """Return the lines of a task's predictions."""
        text = (self.directory / name / f"predictions/{model}/{task}.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]


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
    selection = select(list(names), build_index(include))
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
    lm: Any, manager: Any, names: Sequence[str], folder: Path, **options: Any
) -> dict[str, Any]:
    """Return what lm-evaluation-harness itself measures, without its own bootstrap."""
    import lm_eval

    with rows_of(folder):
        found: dict[str, Any] = lm_eval.simple_evaluate(
            lm, tasks=list(names), task_manager=manager, bootstrap_iters=0, batch_size=16, **options
        )
    return found
