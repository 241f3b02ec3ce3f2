"""Cases of the regression kind: the tasks that were asked for, those of user folders, or all that ship."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.core.case import RegressionCase
from bench.core.registry import no_such
from bench.regression import builder, shipped  # noqa: F401  register what ships
from bench.regression.options import TuningOptions
from bench.regression.registry import TASKS, tasks_below

_CONTROL = "control-"


def make_cases(options: TuningOptions) -> list[RegressionCase]:
    """Return a case per task; one that does not exist or cannot be made is a case with a problem."""
    return [_case(name, order) for order, name in enumerate(_chosen(options))]


def missing(options: TuningOptions) -> str | None:
    """Return what to tell a user whose folders register no task although none is named, None where all is well."""
    if options.tasks or not options.user_dirs or _chosen(options):
        return None
    folders = ", ".join(map(str, options.user_dirs))
    return (
        f"--user-dir {folders}: no regression task is registered there, so there is no case of one; that takes a "
        "function with @register_task, in a file that __init__.py imports where there is one"
    )


def _chosen(options: TuningOptions) -> Sequence[str]:
    if options.tasks:
        return options.tasks
    return tasks_below(options.user_dirs or [Path(__file__).parent])


def _case(name: str, order: int) -> RegressionCase:
    if name not in TASKS:
        return RegressionCase(
            name,
            name,
            problem=f"{no_such('task', name, TASKS)}; --user-dir imports tasks of your own",
            order=order,
        )
    try:
        expect = TASKS[name]().expect
    except Exception as error:  # whatever the user's code raises
        where = TASKS[name]
        return RegressionCase(
            name, name, order=order,
            problem=f"task {name} ({where.file}:{where.line}): {type(error).__name__}: {error}; mend it",
        )  # fmt: skip
    marked = expect is not None and not name.startswith(_CONTROL)
    return RegressionCase(f"{_CONTROL}{name}" if marked else name, name, expect=expect, order=order)
