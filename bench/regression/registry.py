"""Tasks, datasets and models of text regression, registered by a decorator where they are written.

    @register_dataset("notes")
    class Notes(ScoredTexts): ...

    @register_model("wide")
    @dataclass(frozen=True)
    class Wide: ...

    @register_task("notes")
    def notes() -> RegressionTask: ...

What is registered is called: it returns a task, a dataset, or, given extra arguments, a model's builder.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from bench.core.registry import Registry, caller_place

if TYPE_CHECKING:
    from bench.regression.dataset import ScoredTexts
    from bench.regression.task import ModelBuilder, RegressionTask

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_HINT = "--user-dir imports what you register yourself"
T = TypeVar("T", bound=Callable[..., Any])

TASKS: Registry[Callable[[], RegressionTask]] = Registry("task", _HINT)
DATASETS: Registry[Callable[[], ScoredTexts]] = Registry("dataset of scored texts", _HINT)
MODELS: Registry[Callable[..., ModelBuilder]] = Registry("regression model", _HINT)


def register_task(name: str) -> Callable[[T], T]:
    """Return a decorator for a function that returns a `RegressionTask`.

    The function is called at collection and must not import a framework.

    Raises:
        ValueError: the name is taken, and the message names both places; or it has other characters than letters,
            digits, ``_``, ``-`` and ``.``.
    """
    return _registering(TASKS, name)


def register_dataset(name: str) -> Callable[[T], T]:
    """Return a decorator for a subclass of `ScoredTexts`; errors as for `register_task`."""
    return _registering(DATASETS, name)


def register_model(name: str) -> Callable[[T], T]:
    """Return a decorator for a `ModelBuilder`: a dataclass whose fields are the model's extra arguments."""
    return _registering(MODELS, name)


def _registering(registry: Registry[Any], name: str) -> Callable[[T], T]:
    if not _NAME.fullmatch(name):  # ids of tests and folders of results are made of names
        raise ValueError(
            f"found the name {name!r}, expected letters, digits, _, - and ., a letter or digit first; rename it"
        )
    place = caller_place(2)

    def decorate(made: T) -> T:
        registry.add(name, made, place=place)
        return made

    return decorate


def task_of(name: str) -> RegressionTask:
    """Return a task; raises KeyError with the nearest names."""
    return TASKS[name]()


def dataset_of(name: str) -> ScoredTexts:
    """Return a dataset; raises KeyError with the nearest names."""
    return DATASETS[name]()
