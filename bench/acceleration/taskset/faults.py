"""What is wrong with a candidate that must be rejected, and for which reason it must be."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from bench.acceleration.taskset.models import CLASS_TO_IMAGE, TEXT_TO_IMAGE, TGATE
from bench.acceleration.taskset.pipeline_file import repository
from bench.acceleration.taskset.setups import Setup, Use
from bench.acceleration.taskset.texts import Demand

# What a candidate that is too slow misses its limit by, at least.
_MISSED_BY = 1.2


@dataclasses.dataclass(frozen=True)
class Faulty:
    """A candidate with a fault.

    Attributes:
        setup: what it says.
        expect: the reason code that it must be rejected with.
        waits_s: seconds that it idles for each image, None is not at all.
    """

    setup: Setup
    expect: str = "config_mismatch"
    waits_s: float | None = None


Fault = Callable[[Setup, Demand], Faulty | None]
"""Returns a candidate with the fault, None where a task leaves no room for it."""


def fewer_steps(setup: Setup, demand: Demand) -> Faulty:
    """Take two thirds of the steps."""
    return Faulty(dataclasses.replace(setup, steps=max(1, round(2 * setup.steps / 3))))


def other_scheduler(setup: Setup, demand: Demand) -> Faulty:
    """Take a scheduler that is neither asked for nor the model's own."""
    taken = (setup.scheduler, setup.model.own_scheduler)
    wrong = next(name for name in setup.model.other_schedulers if name not in taken)
    return Faulty(dataclasses.replace(setup, scheduler=wrong))


def other_model(setup: Setup, demand: Demand) -> Faulty | None:
    """Load another model of the same class."""
    names = (setup.model.stand_in, *setup.model.repositories.values())
    wrong = next((name for name in names if name not in (None, repository(setup))), None)
    return None if wrong is None else Faulty(dataclasses.replace(setup, repository=wrong))


def other_guidance(setup: Setup, demand: Demand) -> Faulty | None:
    """Take another scale of the guidance."""
    wrong = next((scale for scale in setup.model.guidances if scale != setup.guidance), None)
    return None if wrong is None else Faulty(dataclasses.replace(setup, guidance=wrong))


def other_size(setup: Setup, demand: Demand) -> Faulty | None:
    """Make images of another size, with the same repository."""
    sizes = [size for size, name in setup.model.repositories.items() if name == repository(setup)]
    wrong = next((size for size in sizes if size != setup.size), None)
    if wrong is None or setup.task == CLASS_TO_IMAGE:
        return None
    return Faulty(dataclasses.replace(setup, size=wrong))


def method_missing(setup: Setup, demand: Demand) -> Faulty | None:
    """Leave out the first method."""
    return Faulty(dataclasses.replace(setup, uses=setup.uses[1:])) if setup.uses else None


def method_changed(setup: Setup, demand: Demand) -> Faulty | None:
    """Give the first method that has other settings another one."""
    for use in setup.uses:
        others = [value for value in setup.model.settings[use.method] if value != use.setting]
        if others:
            uses = [Use(use.method, others[0]) if other == use else other for other in setup.uses]
            return Faulty(dataclasses.replace(setup, uses=tuple(uses)))
    return None


def scheduler_kept(setup: Setup, demand: Demand) -> Faulty | None:
    """Keep the model's own scheduler."""
    return None if setup.scheduler is None else Faulty(dataclasses.replace(setup, scheduler=None))


def too_slow(setup: Setup, demand: Demand) -> Faulty | None:
    """Leave out every method, where that is free and surely too slow; a limit of latency could be missed as well."""
    fastest = setup.plain().steps / setup.steps  # the time of what is not denoising only makes it less
    if demand.speedup is None or demand.latency_s is not None or fastest * _MISSED_BY > demand.speedup:
        return None
    return Faulty(dataclasses.replace(setup, uses=()), "speedup_missed")


def waiting(setup: Setup, demand: Demand) -> Faulty | None:
    """Idle for longer than an image may take."""
    if demand.latency_s is None or setup.task != TEXT_TO_IMAGE or TGATE in setup.methods:
        return None
    return Faulty(setup, "latency_missed", round(_MISSED_BY * demand.latency_s, 3))


_OF_EVERY_LEVEL: dict[str, Fault] = {
    "fewer-steps": fewer_steps, "other-scheduler": other_scheduler, "other-model": other_model,
    "other-guidance": other_guidance, "other-size": other_size,
}  # fmt: skip
_OF_METHODS: dict[str, Fault] = {
    "method-missing": method_missing, "method-changed": method_changed, "scheduler-kept": scheduler_kept,
}  # fmt: skip
FAULTS: Mapping[str, Mapping[str, Fault]] = {
    "L1": _OF_EVERY_LEVEL,
    "L2": {**_OF_METHODS, **_OF_EVERY_LEVEL},
    "L3": {**_OF_METHODS, **_OF_EVERY_LEVEL},
    "L4": {"too-slow": too_slow, "scheduler-kept": scheduler_kept, **_OF_EVERY_LEVEL},
    "L5": {"waiting": waiting, "scheduler-kept": scheduler_kept, **_OF_EVERY_LEVEL},
}
"""The faults of each level by name. L4 and L5 leave the methods free, so that a missing one is only too slow."""
