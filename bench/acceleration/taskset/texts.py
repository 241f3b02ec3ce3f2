"""Texts of tasks, in several wordings.

What a text demands is read back by `bench.acceleration.requirement`, so every wording here is one that it understands.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from bench.acceleration.taskset.models import (
    CACHE_DIT,
    CLASS_TO_IMAGE,
    DDIM,
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
)
from bench.acceleration.taskset.setups import Setup


@dataclass(frozen=True)
class Demand:
    """What a hard task asks for; None is not asked for.

    Attributes:
        speedup: baseline time over candidate time.
        latency_s: allowed seconds per image.
        loss_percent: allowed loss of quality.
    """

    speedup: float | None = None
    latency_s: float | None = None
    loss_percent: int | None = None


_OPENINGS = {
    TEXT_TO_IMAGE: (
        "Write a script that generates images from captions with {title} at {size}x{size}.",
        "We draw pictures from prompts with {title}, {size}x{size} each. Write that pipeline.",
        "Load {title} and turn captions into images of {size}x{size}.",
    ),
    IMAGE_TO_IMAGE: (
        "Write a script that redraws a picture of {size}x{size} with {title}, strength {strength:g}.",
        "Take a start image of {size}x{size} and vary it with {title} at a strength of {strength:g}.",
        "Load {title} for image-to-image: input of {size}x{size}, strength {strength:g}.",
    ),
    CLASS_TO_IMAGE: (
        "Write a script that generates images of given {classes} with {title} at {size}x{size}.",
        "Load {title} in its {size}x{size} version and generate images by class label.",
        "Class labels go in, images of {size}x{size} come out: do it with {title}.",
    ),
    TEXT_TO_VIDEO: (
        "Write a script that makes films of {frames} frames from captions with {title}, {size}x{size} each.",
        "Captions go in, films of {frames} frames of {size}x{size} come out: do it with {title}.",
    ),
}
_OWN_SCHEDULER = (
    "Keep the scheduler that it comes with, {steps} steps, guidance {guidance:g}.",
    "Use {steps} steps of its own scheduler and a guidance of {guidance:g}.",
    "Denoise in {steps} steps with the default scheduler; the guidance is {guidance:g}.",
)
_OTHER_SCHEDULER = (
    "Replace the scheduler by {scheduler} and take {steps} steps, guidance {guidance:g}.",
    "Sample with {scheduler} in {steps} steps at guidance {guidance:g}.",
    "Denoise in {steps} steps of {scheduler}; the guidance is {guidance:g}.",
)
_SCHEDULERS = {DDIM: "DDIM", DPM: "DPM-Solver++", UNIPC: "UniPC"}
_METHODS = {
    DEEPCACHE: (
        "Enable DeepCache with an interval of {setting}.",
        "Cache the deep layers with DeepCache, interval {setting}, branch 0.",
    ),
    TOME: (
        "Merge tokens with ToMe at a ratio of {setting}, max_downsample 2.",
        "Apply ToMe (ratio {setting}, max_downsample 2).",
    ),
    TGATE: (
        "Gate the cross-attention with T-GATE from step {setting} on (sp_interval {intervals}, fi_interval 1, warm_up 2).",
        "Use T-GATE with gate_step {setting}, sp_interval {intervals}, fi_interval 1 and warm_up 2.",
    ),
    FIRST_BLOCK: (
        "Enable FirstBlockCache of diffusers with a threshold of {setting}.",
        "Use diffusers' FirstBlockCache, threshold {setting}.",
    ),
    TAYLORSEER: (
        "Enable TaylorSeer of diffusers with an interval of {setting}, from step 3 on, order 1.",
        "Predict steps with diffusers' TaylorSeer: interval {setting}, not before step 3, order 1.",
    ),
    CACHE_DIT: (
        "Enable cache-dit: its DBCache with a threshold of {setting}, one block in front and none behind, after 4 steps.",
        "Use cache-dit's DBCache (F1, B0, warm-up of 4 steps, threshold {setting}).",
    ),
    PRECISION: ("Load the weights in {setting}.", "Run everything in {setting}."),
}
_SPEEDUPS = (
    "It must be at least {speedup:g}x faster than the plain pipeline.",
    "We need a speedup of at least {speedup:g} over the plain pipeline.",
    "Make it at least {speedup:g} times as fast as the baseline.",
    "Aim for {more}% faster generation than with the plain pipeline.",
    "The baseline is too slow: a {speedup:g}-fold acceleration is required.",
)
_LATENCIES = (
    "Each image has to be ready in at most {latency:g} seconds.",
    "Stay under {latency:g} s per image.",
    "The latency is limited to {latency:g} s.",
    "The time per image must not exceed {latency:g} s.",
    "A latency of {latency:g} seconds or less is what we need.",
)
_LOSSES = (
    "At most {loss}% quality loss is acceptable.",
    "The CLIP score may drop by no more than {loss} %.",
    "Do not lose more than {loss}% of the quality.",
    "Keep the quality loss within {loss}%.",
)


def task_text(setup: Setup, demand: Demand, draw: Random) -> str:
    """Return the text of a task.

    Args:
        setup: of its target.
        demand: what it asks for besides.
        draw: chooses among the wordings.
    """
    scheduler = _OWN_SCHEDULER if setup.scheduler is None else _OTHER_SCHEDULER
    sentences = [draw.choice(_OPENINGS[setup.task]), draw.choice(scheduler)]
    said = [
        sentence.format(
            title=setup.model.title, size=setup.size, strength=setup.strength or 1.0, steps=setup.steps,
            guidance=setup.guidance, classes=setup.model.classes, frames=setup.model.frames,
            scheduler=_SCHEDULERS.get(setup.scheduler or "", ""),
        )
        for sentence in sentences
    ]  # fmt: skip
    for use in setup.uses:
        setting = gate_step(setup) if use.method == TGATE else use.setting
        words = draw.choice(_METHODS[use.method])
        said.append(words.format(setting=setting, intervals=setup.model.tgate_intervals))
    return " ".join([*said, *_demands(demand, draw)])


def gate_step(setup: Setup) -> int:
    """Return the step from which T-GATE reuses the cross-attention."""
    share = setup.setting(TGATE)
    assert share is not None, "asked only of setups with T-GATE"
    return max(1, round(float(share) * setup.steps))


def _demands(demand: Demand, draw: Random) -> list[str]:
    said = []
    if demand.latency_s is not None:
        said.append(draw.choice(_LATENCIES).format(latency=demand.latency_s))
    if demand.speedup is not None:
        more = round(100 * demand.speedup - 100)
        said.append(draw.choice(_SPEEDUPS).format(speedup=demand.speedup, more=more))
    if demand.loss_percent is not None:
        said.append(draw.choice(_LOSSES).format(loss=demand.loss_percent))
    return said
