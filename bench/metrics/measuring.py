"""Values of image metrics, ours and those of users: plain numbers, or the sentence that says what is wrong with a metric."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from bench.core.errors import ScoringProblem
from bench.core.raised import told
from bench.metrics.image_fidelity import Pixels
from bench.metrics.shipped_images import IMAGE_METRICS

Values = list[float | None]

# What metrics that ship, their intervals and kept images need, and import where they use it. scikit-image imports the rest
# of a module when something in it is asked for.
_USED = {
    "scipy.special": "stdtrit",
    "PIL.Image": "open",
    "skimage.metrics": "structural_similarity",
    "skimage.measure": "blur_effect",
    "skimage.color": "rgb2lab",
    "skimage.registration": "phase_cross_correlation",
    "skimage.transform": "resize",
}


def import_ahead(*more: str) -> None:
    """Import what metrics use, while there is time for it; what is missing or broken is named by the metric that needs it.

    Args:
        more: names of further modules, that metrics of another process use.
    """
    for name, used in (_USED | dict.fromkeys(more, "__name__")).items():
        with suppress(Exception):  # of a build for another NumPy it is a ValueError
            getattr(importlib.import_module(name), used, None)


def measured(name: str, images: Sequence[Pixels], references: Sequence[Pixels] | None = None) -> Values:
    """Return a metric of each image.

    Args:
        name: of a registered metric.
        images: uint8 arrays [height, width, 3].
        references: of the same samples, for the form ``pair``.

    Raises:
        ScoringProblem: the metric raised, or returned something other than finite numbers and None.

    Example:
        >>> import numpy as np
        >>> black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
        >>> measured("psnr_db", [black, white], [black, black])
        [None, 0.0]
    """
    metric = IMAGE_METRICS[name]
    try:
        if metric.form == "set":
            found = list(metric(list(images)))
        elif metric.form == "image":
            found = [metric(image) for image in images]
        else:
            found = [metric(*pair) for pair in zip(images, references or (), strict=True)]
        numbers = [None if value is None else float(value) for value in found]
    except Exception as error:  # a user's own may raise anything
        raise _problem(name, f"raised {told(error)}; expected a number, or None; fix the metric") from error
    if len(numbers) != len(images):
        raise _problem(
            name,
            f"returned {len(numbers)} values for {len(images)} images; expected one for each; fix the metric",
        )
    odd = next((number for number in numbers if number is not None and not math.isfinite(number)), None)
    if odd is not None:
        raise _problem(name, f"returned {odd}; expected a finite number, or None; fix the metric")
    return numbers


def measure(
    names: Sequence[str], images: Sequence[Pixels], references: Sequence[Pixels] | None = None
) -> tuple[dict[str, Values], dict[str, str]]:
    """Return the values of several metrics by name, and what is wrong with the others."""
    values, problems = {}, {}
    for name in names:
        try:
            values[name] = measured(name, images, references)
        except ScoringProblem as problem:
            problems[name] = str(problem)
    return values, problems


def _problem(name: str, text: Any) -> ScoringProblem:
    return ScoringProblem(f"the image metric {name!r} ({IMAGE_METRICS.place(name)}) {text}")
