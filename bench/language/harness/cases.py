"""Cases of the tasks of lm-evaluation-harness: a model x a task, and a model x a group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.core.errors import UsageProblem
from bench.core.names import safe_name
from bench.language.case import LanguageCase
from bench.language.harness.data import count_rows
from bench.language.harness.declared import group_metrics, refusal, stand_in
from bench.language.harness.options import HarnessSettings
from bench.language.harness.selection import HarnessTask
from bench.language.models.config import ModelConfig
from bench.language.options import LanguageSettings
from bench.language.spec import Dataset, Generation, Rolling

GROUP_MODE = "group"
# Groups come last: they wait for their tasks.
_AFTER_ALL = 1_000_000
_USUAL_ROWS = 1000
_USUAL_CHOICES = 4
_ROLLING_COST = 10


def task_cases(model: ModelConfig, settings: LanguageSettings) -> list[LanguageCase]:
    """Return a case for each task."""
    harness = settings.harness
    if harness is None:
        return []
    return [_case(model, task, settings, harness) for task in harness.selection.tasks.values()]


def group_cases(settings: LanguageSettings, cases: Sequence[LanguageCase]) -> list[LanguageCase]:
    """Return a case for each model and group.

    Args:
        settings: of the run.
        cases: of all tasks, in shards.
    """
    harness = settings.harness
    if harness is None:
        return []
    return [
        LanguageCase(
            f"{model.name}-{safe_name(group.name)}", model.name, group.name, mode=GROUP_MODE, cost=0.0,
            group=_AFTER_ALL, min_score=settings.required(model.name, group.name), protocol=group.protocol,
            metrics=group_metrics(group, harness.selection) if settings.mode != "infer" else (),
            members=tuple(case.id for case in cases if case.model == model.name and case.dataset in group.tasks),
        )
        for model in settings.models
        for group in harness.selection.groups.values()
    ]  # fmt: skip


def refuse_same_names(names: Sequence[str], harness: HarnessSettings | None) -> None:
    """Refuse a dataset file and a task of one name: their predictions would share a file.

    Raises:
        UsageProblem: with the name.
    """
    taken = [name for name in names if harness is not None and name in harness.selection]
    if taken:
        raise UsageProblem(
            f"found {taken[0]} both among the datasets and among the tasks of lm-evaluation-harness, expected each name "
            "once; rename the dataset's file, or ask for the two in runs of their own"
        )


def _case(
    model: ModelConfig, task: HarnessTask, settings: LanguageSettings, harness: HarnessSettings
) -> LanguageCase:
    identity = f"{model.name}-{safe_name(task.name)}"
    problem = refusal(task)
    if problem is not None:
        return LanguageCase(identity, model.name, task.name, problem=problem, protocol=task.protocol)
    declared = stand_in(task)
    count, limit = count_rows(task, harness.data), settings.limit
    count = min(count, limit) if count is not None and limit else (count or limit)
    known = count if settings.mode != "viz" else None
    return LanguageCase(
        identity, model.name, task.name, mode=declared.inference.kind, rows=(0, known), protocol=task.protocol,
        min_score=settings.required(model.name, task.name),
        cost=_cost(declared, count or _USUAL_ROWS, model.max_out_len),
        metrics=declared.metrics if settings.mode != "infer" else (),
    )  # fmt: skip


def _cost(declared: Dataset, rows: int, max_out_len: int | None) -> float:
    if isinstance(declared.inference, Generation):
        each = max_out_len or declared.inference.max_out_len
    else:
        each = _ROLLING_COST if isinstance(declared.inference, Rolling) else _USUAL_CHOICES
    return float(rows * each)


def open_ended(cases: Sequence[LanguageCase], harness: HarnessSettings | None) -> list[LanguageCase]:
    """Return cases; the last shard of a task ends where the task does, which may have more documents than its file rows."""
    return [
        replace(case, rows=(case.rows[0], None))
        if harness is not None and case.dataset in harness.selection and case.shard == case.shards
        else case
        for case in cases
    ]
