"""``tasks``: write a task set, as task files and pipeline files."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bench.acceleration.taskset.models import PAPER, Model
from bench.acceleration.taskset.tasks import COUNTS, SetTask, make_tasks
from bench.acceleration.taskset.writing import Written, write_tasks
from bench.acceleration.taskset.zoo import NAMES, zoo_models
from bench.core.errors import UsageProblem

ZOO = "zoo"
MODELS = (*(model.name for model in PAPER), ZOO)
DEFAULT_ZOO = Path("fixtures/zoo")
_CANNOT_BE_USED = 4


def tasks(
    names: Sequence[str], folder: Path, *, zoo: Path = DEFAULT_ZOO, seed: int = 0, latency_factor: float = 1.0
) -> int:
    """Write the tasks of some models and print what was written; return the exit code.

    Args:
        names: from `MODELS`, separated by commas or not; none is all but the zoo.
        folder: to write to.
        zoo: folder of the models that ship.
        seed: draws the tasks.
        latency_factor: multiplies every limit of latency.
    """
    try:
        wanted = _wanted(names)
        made = _make(wanted, zoo, seed, latency_factor)
        made_from = {"models": wanted, "seed": seed, "latency_factor": latency_factor}
        written = write_tasks(folder, made, made_from)
    except UsageProblem as problem:
        print(problem, file=sys.stderr)
        return _CANNOT_BE_USED
    print(_summary(made, written))
    return 0


def _wanted(names: Sequence[str]) -> list[str]:
    given = [name for text in names for name in text.replace(",", " ").split()]
    unknown = [name for name in given if name not in MODELS]
    if unknown:
        raise UsageProblem(
            f"--models {unknown[0]}: found no such model, expected some of {', '.join(MODELS)}; correct the name"
        )
    return [name for name in MODELS if name in given] or [model.name for model in PAPER]


def _make(wanted: Sequence[str], zoo: Path, seed: int, latency_factor: float) -> list[SetTask]:
    """Return the tasks: those of the paper's models are the same, whichever of them are wanted."""
    found: list[SetTask] = []
    if any(name != ZOO for name in wanted):
        every = make_tasks(PAPER, seed=seed, latency_factor=latency_factor)
        found += [task for task in every if task.target.model.name in wanted]
    if ZOO in wanted:
        found += make_tasks(_of_zoo(zoo), prefix="zoo-", seed=seed, latency_factor=latency_factor)
    return found


def _of_zoo(folder: Path) -> tuple[Model, ...]:
    folder = folder.resolve()  # the files that are written may be run from anywhere
    missing = [name for name in NAMES if not (folder / name).is_dir()]
    if missing:
        raise UsageProblem(
            f"--zoo {folder}: found no model {missing[0]} there, expected {', '.join(NAMES)}; name the folder "
            "fixtures/zoo of the repository with --zoo"
        )
    return zoo_models(folder)


def _summary(made: Sequence[SetTask], written: Written) -> str:
    levels = Counter(task.level for task in made)
    counted = ", ".join(f"{level} {levels[level]}" for level in COUNTS)
    lists = "--tasks {0}/{1} --candidates {0}/{2}"
    return "\n".join(
        [
            f"{len(made)} tasks ({counted}) and {written.files} pipeline files in {written.folder}",
            f"judge the references:  pytest cases/test_acceleration.py "
            f"{lists.format(written.folder, 'anno.json', 'gen.json')}",
            f"what must be rejected: pytest cases/test_acceleration.py "
            f"{lists.format(written.folder, 'anno_wrong.json', 'wrong.json')}",
        ]
    )
