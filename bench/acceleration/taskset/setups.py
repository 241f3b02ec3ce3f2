"""A setup is everything that a pipeline file says. Which ones a model has, and which fit a level."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from bench.acceleration.taskset.models import (
    CACHE_DIT,
    DEEPCACHE,
    DPM,
    FIRST_BLOCK,
    IMAGE_TO_IMAGE,
    PRECISION,
    TAYLORSEER,
    TEXT_TO_IMAGE,
    TEXT_TO_VIDEO,
    TGATE,
    TOME,
    UNIPC,
    Model,
    Setting,
)

LEAST_REQUIRED = 1.2
# Of the speedup that the factors promise: what is left covers the text encoder, the decoder and a busy machine.
SHARE_REQUIRED = 0.7
SHORT = {
    None: "own", "DDIMScheduler": "ddim", DPM: "dpmsolver", UNIPC: "unipc", "FlowMatchLCMScheduler": "flow_lcm",
}  # fmt: skip
_STRENGTHS = (0.6, 0.8)
_SUMMARY = {TEXT_TO_IMAGE: "t2i", IMAGE_TO_IMAGE: "i2i", TEXT_TO_VIDEO: "t2v"}
# T-GATE has an entry point of its own, from text alone, and replaces the attention that ToMe and DeepCache wrap.
_TOGETHER: tuple[tuple[str, ...], ...] = (
    (), (DEEPCACHE,), (TOME,), (TGATE,), (PRECISION,), (DEEPCACHE, TOME), (DEEPCACHE, PRECISION), (TOME, PRECISION),
    (TGATE, PRECISION), (DEEPCACHE, TOME, PRECISION),
    (FIRST_BLOCK,), (TAYLORSEER,), (CACHE_DIT,), (FIRST_BLOCK, PRECISION), (TAYLORSEER, PRECISION), (CACHE_DIT, PRECISION),
)  # fmt: skip


@dataclass(frozen=True)
class Use:
    """An acceleration method with its setting, as `Model.settings` has it."""

    method: str
    setting: Setting


@dataclass(frozen=True, eq=False)
class Setup:
    """What a pipeline file says.

    Attributes:
        model, task: what is loaded, and what it is asked to do.
        size: edge of the image in pixels.
        scheduler: the class that replaces the model's own one, or None.
        steps, guidance: of the call.
        strength: of image-to-image, else None.
        uses: acceleration methods.
        repository: a model that is loaded in place of the right one, or None.
    """

    model: Model
    task: str
    size: int
    scheduler: str | None
    steps: int
    guidance: float
    strength: float | None = None
    uses: tuple[Use, ...] = ()
    repository: str | None = None

    @property
    def name(self) -> str:
        """A name that no other setup has, fit for a file."""
        parts = [
            self.model.name, _SUMMARY.get(self.task, "c2i"), str(self.size), f"{SHORT[self.scheduler]}{self.steps}",
            f"g{self.guidance:g}",
        ]  # fmt: skip
        parts += [] if self.strength is None else [f"s{self.strength:g}"]
        parts += [
            str(use.setting) if use.method == PRECISION else f"{use.method}{use.setting}" for use in self.uses
        ]
        parts += [] if self.repository is None else ["stand_in"]
        return "_".join(parts).replace(".", "_")

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of its acceleration methods."""
        return tuple(use.method for use in self.uses)

    @property
    def changes(self) -> int:
        """How many things make it another pipeline than the plain one: another scheduler, and each method."""
        return (self.scheduler is not None) + len(self.uses)

    @property
    def steps_taken(self) -> int:
        """Steps of an image: image-to-image leaves out the first ones."""
        return math.floor(self.steps * (self.strength or 1.0))

    def setting(self, method: str) -> Setting | None:
        """Return the setting of a method, None where it is not used."""
        return next((use.setting for use in self.uses if use.method == method), None)

    def plain(self) -> Setup:
        """Return its baseline: the model's own scheduler and no method, in the most steps unless it is that scheduler's."""
        steps = self.steps if self.scheduler is None else self.model.steps[None][0]
        return dataclasses.replace(self, scheduler=None, steps=steps, uses=())

    def gain(self) -> float | None:
        """Return how many times as fast its methods make it, None where that is not known of one."""
        factors = [self.model.factors.get((use.method, use.setting)) for use in self.uses]
        return None if None in factors else math.prod(factor for factor in factors if factor is not None)

    def required_speedup(self) -> float | None:
        """Return what a task can require of it over its baseline, None where that would be next to nothing."""
        gain = self.gain()
        if gain is None:
            return None
        required = math.floor(10 * SHARE_REQUIRED * gain * self.plain().steps / self.steps + 1e-9) / 10
        return required if required >= LEAST_REQUIRED else None

    def max_latency_s(self, factor: float) -> float:
        """Return the seconds for an image that a task can allow it: twice what is expected, in two digits.

        Args:
            factor: of the machine, 1 for the one that `Model.seconds` is about.
        """
        share = self.steps / 50 * (self.size / max(self.model.repositories)) ** 2
        return float(f"{2 * factor * self.model.seconds * share / (self.gain() or 1.0):.2g}")


def setups(model: Model) -> Iterator[Setup]:
    """Yield every setup of a model."""
    for task in model.pipelines:
        strengths: tuple[float | None, ...] = _STRENGTHS if task == IMAGE_TO_IMAGE else (None,)
        for scheduler, steps in model.steps.items():
            for uses in _uses(model, task):
                for size, count, guidance, strength in itertools.product(
                    model.repositories, steps, model.guidances, strengths
                ):
                    setup = Setup(model, task, size, scheduler, count, guidance, strength, uses)
                    interval = setup.setting(DEEPCACHE) or 1
                    if setup.steps_taken >= model.least_computed * float(interval):
                        yield setup


def _uses(model: Model, task: str) -> Iterator[tuple[Use, ...]]:
    for methods in _TOGETHER:
        is_known = all(method in model.settings for method in methods)
        if is_known and (TGATE not in methods or task == TEXT_TO_IMAGE):
            for settings in itertools.product(*(model.settings[method] for method in methods)):
                yield tuple(map(Use, methods, settings))


def fits(setup: Setup, level: str) -> bool:
    """Whether a level may ask for a setup: nothing in L1, one change in L2, several in L3, and speed from there on."""
    if level in ("L1", "L2"):
        return setup.changes == ("L1", "L2").index(level)
    return setup.changes > 1 if level == "L3" else setup.required_speedup() is not None
