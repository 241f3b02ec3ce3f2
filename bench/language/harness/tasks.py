"""Makes a task's own object of lm-evaluation-harness, with its rows. Imports lm-evaluation-harness, and thereby torch."""

from __future__ import annotations

import copy
import logging
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import LanguageProblem
from bench.core.names import content_hash
from bench.core.raised import line_of, told_in_one_line
from bench.language.harness.data import local_rows
from bench.language.harness.declared import runs_programs
from bench.language.harness.index import FunctionName
from bench.language.harness.optional import optional_read
from bench.language.harness.selection import HarnessTask
from bench.language.harness.stand_ins import provide
from bench.language.harness.watching import watched, watched_first
from bench.language.programs import require_jail

# The seeds that lm-evaluation-harness sets before it loads a task: some tasks shuffle options while they load.
_LONGEST = 300  # characters of what an exception says
_RANDOM_SEED, _NUMPY_SEED, FEWSHOT_SEED = 0, 1234, 1234

ChatTemplate = Callable[..., str]
"""Takes messages and ``add_generation_prompt``; returns the text that the model reads."""


@dataclass(frozen=True)
class Prompting:
    """How the prompts of all tasks are made.

    Attributes:
        template: of the chat model; None for a base model.
        as_turns: whether in-context examples are turns of the conversation.
        system: text of the system message, or before the first example.
    """

    template: ChatTemplate | None = None
    as_turns: bool = True
    system: str | None = None


@dataclass(frozen=True)
class Document:
    """One document of a task and what is asked about it.

    Attributes:
        key: its number, as text.
        index: its number.
        row: hash of the document.
        asked: hash of what is asked about it; predictions are reused where both are the same.
        requests: objects of lm-evaluation-harness, in the order in which the task wants their answers.
    """

    key: str
    index: int
    row: str
    asked: str
    requests: tuple[Any, ...]


class TaskLoader:
    """Makes the objects of tasks; the last one is kept for its other shards and the other models.

    Args:
        folder: of local rows; None is the hub.
        metadata: what tasks may want to know of the model.
    """

    def __init__(self, folder: Path | None, metadata: Mapping[str, Any] | None = None) -> None:
        self._folder, self._metadata = folder, dict(metadata or {})
        self._last: tuple[str, Any] | None = None

    def load(self, task: HarnessTask) -> Any:
        """Return the object of a task.

        Raises:
            LanguageProblem: a package that is missing, rows that are missing or of another form, or whatever the task's
                own code raises.
        """
        if self._last is None or self._last[0] != task.name:
            self._last = None
            self._last = task.name, _made(task, self._folder, self._metadata)
        return self._last[1]


def document_count(made: Any) -> int:
    """Return how many documents a task evaluates."""
    found = getattr(made, "task_docs", None)
    return len(made.eval_docs if found is None else found)


def documents(made: Any, first: int, end: int | None, prompting: Prompting) -> list[Document]:
    """Return the documents of a span, with their requests.

    Examples are drawn document by document, so those before the span are built as well.

    Args:
        made: the task's object.
        first, end: of the span; None is the end of the task.
        prompting: how prompts are made.

    Raises:
        LanguageProblem: a null that reached what is asked, or whatever the task's own code raises for a document.
    """
    made.set_fewshot_seed(seed=FEWSHOT_SEED)
    if end is not None and end <= first:
        return []
    try:
        with _quiet(), _seeded(), watched(made) as watch:
            made.build_all_requests(
                limit=end,
                system_instruction=prompting.system,
                apply_chat_template=prompting.template is not None,
                fewshot_as_multiturn=prompting.template is not None and prompting.as_turns,
                chat_template=prompting.template,
            )
            watch.follow_processing()
    except LanguageProblem:
        raise
    except Exception as error:
        raise _of_rows(made.config.task, error) from error
    by_document: dict[int, list[Any]] = {}
    for request in made.instances:
        by_document.setdefault(int(request.doc_id), []).append(request)
    return [
        Document(
            f"{number}",
            number,
            content_hash(requests[0].doc),
            content_hash([_asked_of(one) for one in requests]),
            tuple(sorted(requests, key=lambda one: one.idx)),
        )
        for number, requests in by_document.items()
        if number >= first
    ]


def _asked_of(request: Any) -> tuple[Any, ...]:
    """Return what is asked; answers to one question are drawn together, so their number belongs to it."""
    return (request.request_type, request.args, *([request.repeats] if request.repeats > 1 else []))


def functions_resolved(value: Any) -> Any:
    """Return a configuration with its functions imported.

    Raises:
        ImportError, AttributeError: a function that is not there.
    """
    from lm_eval.tasks._yaml_loader import _import_func_in_yml  # noqa: PLC0415  the harness's own rule of search

    if isinstance(value, FunctionName):
        return _import_func_in_yml(str(value), value.folder)
    if isinstance(value, Mapping):
        return {key: functions_resolved(one) for key, one in value.items()}
    if isinstance(value, list):
        return [functions_resolved(one) for one in value]
    return copy.deepcopy(value)


def _made(task: HarnessTask, folder: Path | None, metadata: Mapping[str, Any]) -> Any:
    from bench.machine.torchvision_shim import ensure_torchvision  # noqa: PLC0415

    ensure_torchvision()
    import datasets  # noqa: PLC0415
    from lm_eval.tasks import TaskManager  # noqa: PLC0415

    datasets.disable_progress_bars()
    if runs_programs(task):
        require_jail()
    with _quiet():
        config = _imported(task)
    try:
        with _quiet(), _seeded(), local_rows(task, folder), optional_read(task), watched_first():
            metadata = {**metadata, **(config.get("metadata") or {})}
            # By itself a task is found by its configuration: the folder of all tasks need not be read again.
            manager = TaskManager(include_defaults=False, metadata=metadata)
            made = next(iter(manager.load({**config, "metadata": metadata})["tasks"].values()))
    except LanguageProblem:
        raise
    except ImportError as error:
        raise _of_package(task, error) from error
    except Exception as error:
        raise _of_rows(task.name, error, is_hub=folder is None) from error
    if made.get_config("num_fewshot") is None:
        made.set_config(key="num_fewshot", value=0)
    is_unsafe = getattr(made, "UNSAFE_CODE", False) and not runs_programs(task)
    if is_unsafe or getattr(made, "MULTIMODAL", False):
        raise LanguageProblem(
            "task_invalid",
            f"{task.name}: found a task that runs a model's code by itself or reads images, expected one that reads text, "
            "or that runs programs by the metric code_eval; leave it out",
        )
    return made


def _imported(task: HarnessTask) -> Any:
    """Return a task's configuration with its functions.

    Raises:
        LanguageProblem: code that cannot be imported.
    """
    try:
        provide()
        return functions_resolved(task.config)
    except LanguageProblem:
        raise
    except ModuleNotFoundError as error:
        raise _of_package(task, error) from error
    except (Exception, SystemExit) as error:
        raise LanguageProblem(
            "task_invalid",
            f"{task.name}: found code of the task that cannot be imported ({told_in_one_line(error, _LONGEST)}), expected "
            "code that runs, with the packages of the versions that it needs; correct it, install them, or leave the task "
            "out",
        ) from error


def _of_package(task: HarnessTask, error: ImportError) -> LanguageProblem:
    return LanguageProblem(
        "task_invalid",
        f"{task.name}: found no package {error.name or error}{line_of(error)}, expected it: the task's own code needs it; "
        "install it (the harness has extras such as lm-eval[ifeval] and lm-eval[math]), or leave the task out",
    )


def _of_rows(name: str, error: Exception, *, is_hub: bool = False) -> LanguageProblem:
    if line_of(error):  # a user's own task
        return LanguageProblem(
            "data_failed",
            f"{name}: the task's own code raised {told_in_one_line(error, _LONGEST)}, expected it to take each row; "
            "correct it, or the rows",
        )
    said = " ".join(str(error).split())[:_LONGEST]
    if is_hub:
        return LanguageProblem(
            "data_failed",
            f"{name}: found no rows that can be read where the task says they are ({said or type(error).__name__}), "
            "expected the hub, or files of its form; see the connection, or give local rows with --lm-eval-data DIR",
        )
    what = f"no column or split {said}" if isinstance(error, KeyError) else (said or type(error).__name__)
    return LanguageProblem(
        "data_failed",
        f"{name}: found rows that the task cannot use ({what}), expected rows of the form that it has on the hub; correct "
        "the rows, or see the connection",
    )


@contextmanager
def _seeded() -> Iterator[None]:
    """Begin as lm-evaluation-harness begins, and leave the generators as they were."""
    python, numpy = random.getstate(), np.random.get_state()
    random.seed(_RANDOM_SEED)
    np.random.seed(_NUMPY_SEED)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the harness tells a terminal out of a run's output: bars, and notes on each task's defaults."""
    import lm_eval.api.task as of_task  # noqa: PLC0415

    logger, bar = logging.getLogger("lm_eval"), of_task.tqdm
    level = logger.level
    logger.setLevel(logging.ERROR)
    of_task.tqdm = lambda iterable, **_: iterable
    try:
        yield
    finally:
        logger.setLevel(level)
        of_task.tqdm = bar
