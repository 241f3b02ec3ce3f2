"""Which tasks a set has: as many of each level as DiffBench, drawn from all setups by a seed.

The numbers, the models and the methods are those of arXiv 2601.03178, whose tasks are not published. Texts and files are
our own.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from bench.acceleration.taskset.faults import FAULTS, Faulty
from bench.acceleration.taskset.models import Model
from bench.acceleration.taskset.pipeline_file import STYLES, Style
from bench.acceleration.taskset.setups import Setup, fits, setups
from bench.acceleration.taskset.texts import Demand, task_text
from bench.core.errors import UsageProblem

COUNTS = {"L1": 41, "L2": 116, "L3": 261, "L4": 93, "L5": 93}
"""Tasks of each level, 604 in all."""
DIFFICULTY = {"L1": "easy", "L2": "medium", "L3": "medium", "L4": "hard", "L5": "hard"}
LOSS_PERCENT = 5


@dataclass(frozen=True)
class SetTask:
    """A task of a set.

    Attributes:
        name: its prompt id, such as ``L3-017``.
        level: ``L1`` to ``L5``.
        text: what is asked for.
        demand: the numbers in it.
        target, baseline: setups of the files that it names.
        style: how its reference candidate, whose setup is the target's, is written.
        fault: name of what is wrong with the candidate that must be rejected.
        faulty: that candidate.
    """

    name: str
    level: str
    text: str
    demand: Demand
    target: Setup
    baseline: Setup
    style: Style
    fault: str
    faulty: Faulty

    @property
    def difficulty(self) -> str:
        """``easy``, ``medium`` or ``hard``."""
        return DIFFICULTY[self.level]

    @property
    def methods(self) -> tuple[str, ...]:
        """Acceleration methods that it asks for by name; the hard levels leave them free."""
        return () if self.difficulty == "hard" else self.target.methods


def make_tasks(
    models: Sequence[Model], *, prefix: str = "", seed: int = 0, latency_factor: float = 1.0
) -> list[SetTask]:
    """Return the tasks of some models, level by level.

    Args:
        models: all models of the set.
        prefix: of the prompt ids, so that two sets can be judged together.
        seed: the same seed draws the same tasks.
        latency_factor: multiplies every limit of latency; 2 for a machine that takes twice the time.

    Raises:
        UsageProblem: the models have fewer setups than a level has tasks.
    """
    everything = [setup for model in models for setup in setups(model)]
    tasks = []
    for level, count in COUNTS.items():
        draw = Random(f"{seed}-{level}")
        chosen = _draw([setup for setup in everything if fits(setup, level)], level, count, draw)
        used: Counter[str] = Counter()
        for number, setup in enumerate(chosen, 1):
            demand = _demand(setup, level, draw.random() < 0.5, latency_factor)
            fault, faulty = _fault(setup, demand, level, used)
            tasks.append(
                SetTask(
                    name=f"{prefix}{level}-{number:03}",
                    level=level,
                    text=task_text(setup, demand, draw),
                    demand=demand,
                    target=setup,
                    baseline=setup.plain(),
                    style=draw.choice(STYLES),
                    fault=fault,
                    faulty=faulty,
                )
            )
    return tasks


def _draw(fitting: Sequence[Setup], level: str, count: int, draw: Random) -> list[Setup]:
    """Return setups of each model and task in turn, and within these of each scheduler and combination of methods."""
    shares = []
    for share in _grouped(fitting, lambda setup: (setup.model.name, setup.task)):
        alike = _grouped(share, lambda setup: (setup.scheduler, setup.methods))
        for group in alike:
            draw.shuffle(group)
        draw.shuffle(alike)
        shares.append(list(_in_turn(alike)))
    draw.shuffle(shares)
    chosen = list(_in_turn(shares))[:count]
    if len(chosen) < count:
        raise UsageProblem(
            f"found {len(chosen)} different setups for {level}, expected {count}; give the models more of them"
        )
    return chosen


def _grouped(members: Iterable[Setup], key: Callable[[Setup], object]) -> list[list[Setup]]:
    groups: dict[object, list[Setup]] = {}
    for member in members:
        groups.setdefault(key(member), []).append(member)
    return list(groups.values())


def _in_turn(groups: Sequence[Sequence[Setup]]) -> Iterator[Setup]:
    """Yield the first of each group, then the second of each, until all are empty."""
    for row in itertools.zip_longest(*groups):
        yield from (member for member in row if member is not None)


def _demand(setup: Setup, level: str, asks_for_both: bool, latency_factor: float) -> Demand:
    """Return what a level asks for: speed in L4, latency in L5, where about half of the tasks ask for speed, too."""
    if DIFFICULTY[level] != "hard":
        return Demand()
    speedup = setup.required_speedup()
    if level == "L4":
        return Demand(speedup=speedup, loss_percent=LOSS_PERCENT)
    return Demand(
        speedup=speedup if asks_for_both else None,
        latency_s=setup.max_latency_s(latency_factor),
        loss_percent=LOSS_PERCENT,
    )


def _fault(setup: Setup, demand: Demand, level: str, used: Counter[str]) -> tuple[str, Faulty]:
    """Return the fault that was used least among those that a task leaves room for."""
    made = {name: fault(setup, demand) for name, fault in FAULTS[level].items()}
    possible = {name: faulty for name, faulty in made.items() if faulty is not None}
    chosen = min(possible, key=lambda name: used[name])
    used[chosen] += 1
    return chosen, possible[chosen]
