"""How many answers are drawn to the questions of tasks that run programs, and the k of their pass@k."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.core.errors import UsageProblem
from bench.language.harness.declared import PASS_K, runs_programs
from bench.language.harness.selection import HarnessTask, Selection

# A task without a filter reads the first answer alone.
ALL_DRAWS = "all_draws"


def draw(selection: Selection, repeats: int, pass_k: Sequence[str]) -> None:
    """Let the tasks of a selection draw as many answers as are asked for.

    Args:
        selection: its tasks that run programs are changed.
        repeats: answers to each question; 1 leaves it to the tasks.
        pass_k: values of k as they are given; none leaves them to the tasks, or takes powers of two up to `repeats`.

    Raises:
        UsageProblem: a k that is no number or greater than the draws, or tasks that draw as many as they say themselves.
    """
    draws = [_whole(one) for one in pass_k]
    of_programs = {name: task for name, task in selection.tasks.items() if runs_programs(task)}
    if draws and not of_programs:
        raise UsageProblem(
            "--pass-k: found no task that runs programs, expected one such as humaneval or mbpp; leave it out, or name one "
            "with --lm-eval-tasks"
        )
    others = [name for name in selection.tasks if name not in of_programs]
    if repeats > 1 and others:
        raise UsageProblem(
            f"--repeats {repeats}: {', '.join(others[:5])} of lm-evaluation-harness draws as many answers as its own "
            "definition says; leave --repeats out, or run tasks that run programs, or datasets, alone"
        )
    for name, task in of_programs.items():
        drawn = repeats if repeats > 1 else int(task.config.get("repeats") or 1)
        if draws and max(draws) > drawn:
            raise UsageProblem(
                f"--pass-k {max(draws)}: {name} draws {drawn} answers to each question, expected at least as many as k; "
                f"draw more with --repeats {max(draws)} and --generation-kwargs do_sample=True temperature=0.8"
            )
        selection.tasks[name] = _drawing(task, repeats, draws)


def _drawing(task: HarnessTask, repeats: int, draws: Sequence[int]) -> HarnessTask:
    if repeats < 2 and not draws:
        return task
    from bench.language.repeats import powers  # noqa: PLC0415  imports numpy

    config: dict[str, Any] = dict(task.config)
    ks = list(draws) or [1, *powers(repeats)]
    listed = [dict(one) for one in config.get("metric_list") or []]
    with_k = [one for one in listed if "k" in one]
    for one in with_k:
        one["k"] = ks
    if listed:
        config["metric_list"] = listed
    if not with_k:
        metadata = config.get("metadata")
        config["metadata"] = {**(metadata if isinstance(metadata, Mapping) else {}), PASS_K: ks}
    if repeats > 1:
        config["repeats"] = repeats
        if not config.get("filter_list"):
            config["filter_list"] = [
                {"name": ALL_DRAWS, "filter": [{"function": "custom", "filter_fn": all_draws}]}
            ]
    return replace(task, config=config)


def all_draws(resps: Sequence[Sequence[str]], docs: Sequence[Any]) -> list[list[str]]:
    """Return all answers to each question, as a filter of lm-evaluation-harness."""
    return [list(drawn) for drawn in resps]


def _whole(text: str) -> int:
    try:
        found = int(text)
    except ValueError:
        found = 0
    if found < 1:
        raise UsageProblem(f"--pass-k {text}: expected whole numbers of at least 1, such as 1 10; correct it")
    return found
