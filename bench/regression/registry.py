"""Tasks, datasets and models of text regression, registered by a decorator where they are written.

    @register_dataset("notes")
    class Notes(ScoredTexts): ...

    @register_model("wide")
    @dataclass(frozen=True)
    class Wide: ...

    @register_task("notes")
    def notes() -> RegressionTask: ...

What is called for each name gives a task, a dataset, or from its extra arguments a model's builder.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

from bench.core.registry import Registry

if TYPE_CHECKING:
    from bench.regression.dataset import ScoredTexts
    from bench.regression.task import ModelBuilder, RegressionTask

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
T = TypeVar("T", bound=Callable[..., Any])


@dataclass(frozen=True)
class Registered:
    """Something registered, and where; called, it calls that.

    Attributes:
        made: a function or a class.
        file, line: of the decorator.
    """

    made: Callable[..., Any]
    file: str
    line: int

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call what was registered."""
        return self.made(*arguments, **named)

    @property
    def __code__(self) -> Any:
        """Where it is: the registry names both places of a name that is taken twice, and a class has none."""
        return SimpleNamespace(co_filename=self.file, co_firstlineno=self.line)

    def is_below(self, folder: Path) -> bool:
        """Whether it was registered by a file of this folder."""
        return Path(self.file).resolve().is_relative_to(folder.resolve())


TASKS: Registry[Registered] = Registry("task")
DATASETS: Registry[Registered] = Registry("dataset of scored texts")
MODELS: Registry[Registered] = Registry("regression model")


def register_task(name: str) -> Callable[[T], T]:
    """Return a decorator for a function that returns a `RegressionTask`.

    It is called at collection and must import no framework.

    Raises:
        ValueError: when the name is taken; the message names both places.
    """
    return _registering(TASKS, name)


def register_dataset(name: str) -> Callable[[T], T]:
    """Return a decorator for a subclass of `ScoredTexts`; errors as for `register_task`."""
    return _registering(DATASETS, name)


def register_model(name: str) -> Callable[[T], T]:
    """Return a decorator for a `ModelBuilder`: a dataclass whose fields are the model's extra arguments."""
    return _registering(MODELS, name)


def _registering(registry: Registry[Registered], name: str) -> Callable[[T], T]:
    if not _NAME.fullmatch(name):  # ids of tests and folders of results are made of them
        raise ValueError(
            f"found the name {name!r}, expected letters, digits, _, - and ., a letter or digit first"
        )
    caller = sys._getframe(2)
    file, line = caller.f_code.co_filename, caller.f_lineno

    def decorate(made: T) -> T:
        registry.register(name)(Registered(made, file, line))
        return made

    return decorate


def task_of(name: str) -> RegressionTask:
    """Return a task; raises KeyError with the nearest names."""
    task: RegressionTask = TASKS[name]()
    return task


def dataset_of(name: str) -> ScoredTexts:
    """Return a dataset; raises KeyError with the nearest names."""
    dataset: ScoredTexts = DATASETS[name]()
    return dataset


def tasks_below(folders: Iterable[Path]) -> list[str]:
    """Return the names of the tasks that files of these folders registered."""
    return [name for folder in folders for name, entry in TASKS.items() if entry.is_below(folder)]


def builder_of(name: str, arguments: dict[str, Any]) -> ModelBuilder:
    """Return a model's builder with these extra arguments; raises KeyError with the nearest names."""
    builder: ModelBuilder = MODELS[name](**arguments)
    return builder
