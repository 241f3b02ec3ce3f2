"""The null band: how far apart a pipeline's own images are when it computes in another, equally right way.

The same prompts and seeds are made again in another order and batch size, with another number of threads, and, where a task
frees the precision, with a decoder whose weights are rounded to bfloat16. What differs then says nothing of a candidate.
"""

from __future__ import annotations

import math
import secrets
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from bench.acceleration.prompts import Sample, SampleStream
from bench.core.errors import ArmProblem
from bench.metrics.image_fidelity import frames_of

if TYPE_CHECKING:
    import numpy as np

Images = list["np.ndarray"]
REFERENCE = "reference"
BATCH, THREADS, WEIGHTS = "batch", "threads", "weights"
PERTURBATIONS: dict[str, str] = {
    BATCH: "half a batch, in the opposite order",
    THREADS: "another number of threads",
    WEIGHTS: "the decoder's weights rounded to bfloat16",
}
"""Legal perturbations, each with what it changes."""
_PRECISION = ("methods", "methods.precision", "vae", "weights")
_DECODER = "vae"


class ImageMaker(Protocol):
    """What makes images: `bench.acceleration.host.pipeline_arm.PipelineArm`."""

    def generate(self, samples: list[Sample]) -> MadeImages:
        """Make an image of each sample."""

    def perturb(self, **change: object) -> bool:
        """Change what computes."""


class MadeImages(Protocol):
    """What one call gave."""

    @property
    def outputs(self) -> Images:
        """Images or videos."""


@dataclass(frozen=True)
class NullImages:
    """A pipeline's images of the run's secret samples, and some of them again.

    Attributes:
        reference: of all samples, as a timed call makes them.
        again: by the perturbations that were in force together, images of the first samples.
    """

    reference: Images
    again: Mapping[tuple[str, ...], Images] = field(default_factory=dict)

    def pairs(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return each image that was made again, next to the one that it repeats."""
        return [
            pair
            for images in self.again.values()
            for pair in zip(images, self.reference[: len(images)], strict=True)
        ]

    @property
    def width(self) -> float:
        """The greatest distance of an image from the one that it repeats, in grey levels; infinite for other shapes."""
        return max((image_distance(*pair) for pair in self.pairs()), default=0.0)

    @property
    def spread(self) -> float | None:
        """The mean distance between images of different samples; None where there is one alone."""
        found = [
            image_distance(image, other)
            for index, image in enumerate(self.reference)
            for other in self.reference[index + 1 :]
        ]
        return statistics.fmean(found) if found else None


def draw_secret_samples(stream: SampleStream, count: int) -> list[Sample]:
    """Return samples that nobody knows before the run: prompts of the stream, with seeds of their own."""
    chosen = secrets.SystemRandom().sample(range(len(stream)), min(count, len(stream)))
    return [replace(stream.at(index), seed=secrets.randbits(31)) for index in chosen]


def perturbations_for(free: Sequence[str], *, on_gpu: bool) -> tuple[str, ...]:
    """Return the perturbations that are legal where a task frees these names."""
    names = [BATCH] if on_gpu else [BATCH, THREADS]
    return (*names, *([WEIGHTS] if set(free) & set(_PRECISION) else []))


def images_of(arm: ImageMaker, samples: Sequence[Sample], what: Sequence[str], threads: int) -> Images:
    """Make images of the first samples under perturbations; none where they cannot all be applied.

    Args:
        arm: makes them.
        samples: the secret ones.
        what: names of `PERTURBATIONS`.
        threads: how many compute otherwise.
    """
    try:
        return _perturbed(arm, samples, what, threads)
    except ArmProblem as problem:
        if problem.reason_code != "generation_failed":
            raise
        return []  # such as a compiled pipeline that takes whole batches only


def _perturbed(arm: ImageMaker, samples: Sequence[Sample], what: Sequence[str], threads: int) -> Images:
    chosen = list(reversed(samples[: max(1, len(samples) // 2)])) if BATCH in what else [samples[0]]
    change: dict[str, object] = {"threads": 1 if threads > 1 else 2} if THREADS in what else {}
    change |= {"round": _DECODER} if WEIGHTS in what else {}
    if not change:
        return arm.generate(chosen).outputs[::-1]
    try:
        return arm.generate(chosen).outputs[::-1] if arm.perturb(**change) else []
    finally:
        arm.perturb()


def collect(
    once: Callable[[str, Callable[[], Images]], Images],
    arm: ImageMaker,
    samples: Sequence[Sample],
    perturbations: Sequence[str],
    threads: int,
    reference: Callable[[], Images] | None = None,
) -> NullImages:
    """Return a pipeline's null images, each part from the case that made it first.

    All perturbations are in force in one call; each has a call of its own only where they cannot all be applied.

    Args:
        once: returns the images of a part, which it makes where nobody has.
        arm, samples, threads: as for `images_of`.
        perturbations: names.
        reference: makes the images that the others repeat; a plain call of the arm where it is left out.
    """
    made = once(REFERENCE, reference or (lambda: arm.generate(list(samples)).outputs))

    def again(*what: str) -> dict[tuple[str, ...], Images]:
        return {what: once(" ".join(what), lambda: images_of(arm, samples, what, threads))}

    found = again(*perturbations)
    if len(perturbations) > 1 and not found[tuple(perturbations)]:
        found = {what: images for name in perturbations for what, images in again(name).items()}
    return NullImages(made, found)


def image_distance(image: np.ndarray, other: np.ndarray) -> float:
    """Return the mean absolute difference of two images or videos, in grey levels; infinite for other shapes.

    Args:
        image, other: uint8 arrays [height, width, 3], or [frames, height, width, 3].
    """
    if image.shape != other.shape:
        return math.inf
    return statistics.fmean(
        # One by one: a whole video of 64-bit numbers would fill the memory.
        float(abs(frame.astype(int) - reference.astype(int)).mean())
        for frame, reference in zip(frames_of(image), frames_of(other), strict=True)
    )
