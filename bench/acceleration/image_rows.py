"""The values of all image metrics for each sample of a pair: closeness of its outputs, and what each of them is like.

A video counts by its scored frames; the mean over them is the video's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, chain
from typing import TYPE_CHECKING

from bench.core.record import Json
from bench.metrics.measuring import Values, measure
from bench.metrics.shipped_images import IMAGE_METRICS
from bench.metrics.video_fidelity import TEMPORAL_DIFFERENCE, scored_frames, temporal_difference

if TYPE_CHECKING:
    import numpy as np

Found = tuple[dict[str, Values], dict[str, str]]
Ask = Callable[[Sequence[str], Sequence["np.ndarray"], Sequence["np.ndarray"] | None], Found]
"""Measures what needs torch: names, images, references; returns values by name, and problems of the others."""
OF_BASELINE = "baseline_"
"""What stands before the name of a metric of single images in a row, for the baseline's value."""


def close_rows(
    outputs: Sequence[np.ndarray], references: Sequence[np.ndarray], ask: Ask
) -> tuple[list[Json], list[str]]:
    """Return how close each output is to its reference, and what could not be measured: that metric is None in all rows.

    Args:
        outputs, references: uint8 images [height, width, 3], or videos [frames, height, width, 3], of the same samples.
        ask: measures in the scoring process.
    """
    comparable = [one.shape == other.shape for one, other in zip(outputs, references, strict=True)]
    frames = [scored_frames(output) if fits else [] for output, fits in zip(outputs, comparable, strict=True)]
    others = [
        scored_frames(output) if fits else [] for output, fits in zip(references, comparable, strict=True)
    ]
    values, problems = _measured(IMAGE_METRICS.of_form("pair"), frames, others, ask)
    rows: list[Json] = [
        {name: of_one[index] for name, of_one in values.items()} for index in range(len(outputs))
    ]
    for row, output, reference, fits in zip(rows, outputs, references, comparable, strict=True):
        row[TEMPORAL_DIFFERENCE] = temporal_difference(output, reference)
        row["identical"] = fits and bool((output == reference).all())
    return rows, problems


def own_values(outputs: Sequence[np.ndarray], ask: Ask) -> tuple[dict[str, Values], list[str]]:
    """Return what each output is like by itself, by metric of the forms ``image`` and ``set``, and what is wrong."""
    names = IMAGE_METRICS.of_form("image", "set")
    return _measured(names, [scored_frames(output) for output in outputs], None, ask)


def _measured(
    names: Sequence[str],
    frames: Sequence[Sequence[np.ndarray]],
    others: Sequence[Sequence[np.ndarray]] | None,
    ask: Ask,
) -> tuple[dict[str, Values], list[str]]:
    """Return the mean of each metric over the frames of each output that have a value."""
    values: dict[str, Values] = {}
    problems: dict[str, str] = {}
    of_images = [name for name in names if IMAGE_METRICS[name].form != "set"]
    for here in (True, False):
        chosen = [name for name in of_images if IMAGE_METRICS[name].in_scorer != here]
        if not chosen:
            continue
        images, references = list(chain(*frames)), None if others is None else list(chain(*others))
        found, wrong = measure(chosen, images, references) if here else ask(chosen, images, references)
        values |= {name: _means(of_one, frames) for name, of_one in found.items()}
        problems |= wrong
    for name in (name for name in names if IMAGE_METRICS[name].form == "set"):
        # Frames of one video are alike by nature: a set is of the frames in the middle.
        middle = [of_one[len(of_one) // 2] for of_one in frames]
        one = IMAGE_METRICS[name].in_scorer
        found, wrong = ask([name], middle, None) if one else measure([name], middle)
        values |= found
        problems |= wrong
    missing: Values = [None] * len(frames)
    texts = list(dict.fromkeys(problems[name] for name in names if name in problems))
    return {name: values.get(name, missing) for name in names}, texts


def _means(values: Values, frames: Sequence[Sequence[np.ndarray]]) -> Values:
    ends = list(accumulate(map(len, frames)))
    means: Values = []
    for end, of_one in zip(ends, frames, strict=True):
        known = [value for value in values[end - len(of_one) : end] if value is not None]
        means.append(sum(known) / len(known) if known else None)
    return means
