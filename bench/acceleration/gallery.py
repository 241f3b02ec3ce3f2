"""The images or videos of an arm by sample, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.acceleration.host.pipeline_arm import Batch
from bench.metrics.image_fidelity import constant_images, duplicate_images
from bench.metrics.video_fidelity import frozen_videos

if TYPE_CHECKING:
    import numpy as np


@dataclass
class Gallery:
    """Images or videos of one arm, keyed by the index of their sample.

    Args:
        role: for messages.

    Attributes:
        outputs: uint8 arrays [height, width, 3], or [frames, height, width, 3].
        problems: why a batch could not be used.
    """

    role: str
    outputs: dict[int, np.ndarray] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def noun(self) -> str:
        """What the arm makes: ``image`` or ``video``."""
        return noun_of(list(self.outputs.values()))

    def add(self, indices: list[int], batch: Batch) -> bool:
        """Take what a batch made; returns False, with the problem noted, when it cannot be used."""
        noun = noun_of(batch.outputs)
        if len(batch.outputs) != len(indices):
            count, asked = len(batch.outputs), len(indices)
            self.problems.append(
                f"the {self.role} returned {count} {noun}{'s' * (count != 1)} for {asked} prompt{'s' * (asked != 1)}; "
                "expected one per prompt"
            )
            return False
        self.outputs.update(zip(indices, batch.outputs, strict=True))
        if batch.not_finite:
            self.problems.append(f"the {self.role} produced NaN or infinite pixels (samples {indices})")
            return False
        return True

    def check(self, reference: Gallery | None = None, *, any_size: bool = False) -> list[str]:
        """Return all that is wrong: what is constant, frozen or repeated, and sizes other than the reference's.

        Args:
            reference: of the same samples.
            any_size: whether sizes may differ.
        """
        order = sorted(self.outputs)
        outputs = [self.outputs[index] for index in order]
        of_all = f"of {len(outputs)} {self.noun}s of the {self.role}"
        problems = list(self.problems)
        constant = constant_images(outputs)
        if constant:
            problems.append(
                f"{len(constant)} {of_all} are one flat colour (samples {_some([order[index] for index in constant])})"
            )
        frozen = [order[index] for index in frozen_videos(outputs) if index not in constant]
        if frozen:
            problems.append(
                f"{len(frozen)} {of_all} are frozen: all frames are equal (samples {_some(frozen)})"
            )
        copies = [(first, later) for first, later in duplicate_images(outputs) if later not in constant]
        if copies:
            pairs = ", ".join(f"{order[first]} = {order[later]}" for first, later in copies[:3])
            problems.append(
                f"{len(copies)} {of_all} repeat another one, although prompts and seeds differ (samples {pairs})"
            )
        if reference is not None and not any_size:
            problems.extend(self._size_problems(reference))
        return problems

    def _size_problems(self, reference: Gallery) -> list[str]:
        for index in sorted(self.outputs.keys() & reference.outputs.keys()):
            found, expected = self.outputs[index].shape, reference.outputs[index].shape
            if found != expected:
                return [
                    f"sample {index} of the {self.role} is {_size(found)}, the {reference.role}'s is {_size(expected)}"
                ]
        return []


def noun_of(outputs: list[np.ndarray]) -> str:
    """Return what arrays hold: ``video`` where there is one among them, and ``image`` else."""
    return "video" if any(output.ndim == 4 for output in outputs) else "image"


def _size(shape: tuple[int, ...]) -> str:
    *frames, height, width, _ = shape
    return "".join(f"{count} frames of " for count in frames) + f"{width} x {height} pixels"


def _some(indices: list[int]) -> str:
    return ", ".join(map(str, indices[:5])) + (", ..." if len(indices) > 5 else "")
