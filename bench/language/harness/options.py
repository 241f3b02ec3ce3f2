"""Options of the tasks of lm-evaluation-harness. Importing this imports no framework, and not the harness either."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from bench.core.errors import UsageProblem
from bench.core.options import Setting, option
from bench.language.harness.drawing import draw
from bench.language.harness.index import build_index
from bench.language.harness.selection import Selection, select


@dataclass(frozen=True)
class HarnessOptions:
    """Options as they are given."""

    lm_eval_tasks: tuple[str, ...] = option(
        "tasks, groups and tags of lm-evaluation-harness, or its YAML files", (), metavar="NAME",
        example="arc_easy",
    )  # fmt: skip
    lm_eval_include: tuple[Path, ...] = option(
        "folders with YAML files of your own for --lm-eval-tasks", (), metavar="DIR"
    )
    lm_eval_data: Path | None = option(
        "folder with the rows of --lm-eval-tasks as DATASET_PATH/[DATASET_NAME/]SPLIT.jsonl or .parquet (default: the hub)",
        metavar="DIR",
    )
    lm_eval_num_fewshot: int | None = option(
        "in-context examples of --lm-eval-tasks (default: as each task says)", metavar="N", least=0
    )
    pass_k: tuple[str, ...] = option(
        "k of pass@k for tasks that run programs, each at most as many as answers are drawn (default: as each task says)",
        (), metavar="K", example="1",
    )  # fmt: skip


@dataclass(frozen=True)
class HarnessSettings:
    """Options as they are used.

    Attributes:
        selection: tasks and groups.
        data: folder of local rows; None is the hub.
    """

    selection: Selection
    data: Path | None = None

    @property
    def label(self) -> str:
        """What a record says of the origin of the rows."""
        return "where the tasks say" if self.data is None else str(self.data)


def resolve_harness(raw: HarnessOptions, setting: Setting, repeats: int = 1) -> HarnessSettings | None:
    """Return what is asked of lm-evaluation-harness; None if nothing is.

    Args:
        raw: the options.
        setting: of the run.
        repeats: answers that are drawn to each question.

    Raises:
        UsageProblem: an unknown task, a folder that is not there, options without a task or that it cannot follow, or no
            harness.
    """
    if not raw.lm_eval_tasks:
        idle = [one.name for one in fields(HarnessOptions) if one.name in setting.given]
        if idle:
            raise UsageProblem(
                f"--{idle[0].replace('_', '-')}: found no tasks of lm-evaluation-harness, expected some; name them with "
                "--lm-eval-tasks, or leave it out"
            )
        return None
    include = [setting.local_path(str(folder)) for folder in raw.lm_eval_include]
    data = None if raw.lm_eval_data is None else setting.local_path(str(raw.lm_eval_data))
    for flag, folder in [("include", one) for one in include] + ([] if data is None else [("data", data)]):
        if not folder.is_dir():
            raise UsageProblem(f"--lm-eval-{flag} {folder}: no such folder, expected one; correct the path")
    index = build_index(include)
    selection = select(raw.lm_eval_tasks, index, raw.lm_eval_num_fewshot)
    draw(selection, repeats, raw.pass_k)
    return HarnessSettings(selection, data)
