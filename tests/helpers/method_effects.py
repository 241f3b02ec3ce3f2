"""A pipeline in this process as an arm reports it: its configuration in one watched call, and the images of that call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tiny_pipeline import loaded

from bench.acceleration.arm.detection import describe
from bench.acceleration.arm.observation import Watch
from bench.acceleration.arm.parts_of_model import parts_of
from bench.acceleration.configuration import Configuration, combine
from bench.acceleration.effect import Effect, effect_of
from bench.acceleration.pair import _differ
from bench.acceleration.source.reading import SourceReading

PROMPTS = ["a red circle", "a blue star"]


def seen(
    pipe: Any, call: Callable[..., Any], *, entry: str = "__call__", **arguments: Any
) -> tuple[Configuration, list[np.ndarray]]:
    """Generate once, watched, and return the configuration and the images.

    Args:
        pipe: the pipeline.
        call: generates on it from generators; returns an output with images.
        entry: the entry point that it calls.
        arguments: which it gives that entry point.
    """
    import torch

    watch = Watch(pipe)
    with watch.watching():
        output = call(generator=[torch.Generator().manual_seed(seed) for seed, _ in enumerate(PROMPTS)])
    described = describe(loaded(pipe, entry, **arguments))
    described.parts = parts_of(pipe)
    images = [np.asarray(image) for image in output.images]
    return combine(described, watch.report(len(images)), SourceReading()), images


def effect_between(
    without: tuple[Configuration, list[np.ndarray]], candidate: tuple[Configuration, list[np.ndarray]]
) -> Effect:
    """Return the effect of a candidate's methods against a baseline."""
    differing = sum(map(_differ, without[1], candidate[1]))
    return effect_of(candidate[0], [("baseline", without[0])], (differing, len(candidate[1])))
