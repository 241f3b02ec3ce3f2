"""Cases of the regression kind: the tasks that were asked for, else those of the user's folders, else those that ship."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.core.errors import UsageProblem
from bench.core.options import Setting
from bench.core.raised import told
from bench.regression.case import RegressionCase
from bench.regression.measures import metric_names
from bench.regression.options import RegressionOptions
from bench.regression.preparation import problem_of
from bench.regression.registry import TASKS

_CONTROL = "control-"


def make_cases(options: RegressionOptions, setting: Setting) -> list[RegressionCase]:
    """Return a case per task; a task that does not exist or cannot be trained is a case with a problem.

    Raises:
        UsageProblem: a table of predictions for other than one task.
    """
    chosen, table = _chosen(options, setting), setting.run.predictions
    if table is not None and len(chosen) != 1:
        raise UsageProblem(
            f"--predictions {table}: found {len(chosen)} tasks ({', '.join(chosen) or 'none'}), expected one, since "
            "keys name the "
            "rows of one; name it with --task"
        )
    return [replace(_case(name, order, options), predictions=table) for order, name in enumerate(chosen)]


def hints(options: RegressionOptions, setting: Setting) -> list[str]:
    """Return what to tell a user whose folders register no task although the command names none."""
    if options.task or not setting.own_dirs or _chosen(options, setting):
        return []
    folders = ", ".join(map(str, setting.own_dirs))
    return [
        f"--user-dir {folders}: no regression task is registered there, so no case is one; register a function with "
        "@register_task, in a file that __init__.py imports where there is one"
    ]


def _chosen(options: RegressionOptions, setting: Setting) -> Sequence[str]:
    return options.task or TASKS.below(setting.own_dirs or setting.user_dirs)


def _case(name: str, order: int, options: RegressionOptions) -> RegressionCase:
    if name not in TASKS:
        return RegressionCase(name, name, problem=TASKS.unknown(name), order=order)
    where = f"task {name} ({TASKS.place(name)})"
    try:
        task = TASKS[name]()
        problem = problem_of(task, options.model_args, options.training_args)
    except Exception as error:  # the user's code may raise anything
        return RegressionCase(name, name, problem=f"{where}: {told(error)}; correct it", order=order)
    marked = task.expect is not None and not name.startswith(_CONTROL)
    return RegressionCase(
        f"{_CONTROL}{name}" if marked else name,
        name,
        problem=None if problem is None else f"{where}: {problem}",
        expect=task.expect,
        metrics=metric_names(task),
        order=order,
    )
