"""The images of an arm by sample, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.acceleration.host.pipeline_arm import Batch
from bench.metrics.image_fidelity import constant_images, duplicate_images

if TYPE_CHECKING:
    import numpy as np


@dataclass
class Gallery:
    """Images of one arm, keyed by the index of their sample.

    Args:
        role: for messages.
    """

    role: str
    images: dict[int, np.ndarray] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add(self, indices: list[int], batch: Batch) -> bool:
        """Take the images of a batch; returns False, with the problem noted, when they cannot be used."""
        if len(batch.images) != len(indices):
            self.problems.append(
                f"the {self.role} returned {len(batch.images)} images for {len(indices)} prompts; expected one per prompt"
            )
            return False
        self.images.update(zip(indices, batch.images, strict=True))
        if batch.not_finite:
            self.problems.append(f"the {self.role} produced NaN or infinite pixels (samples {indices})")
            return False
        return True

    def check(self, reference: Gallery | None = None) -> list[str]:
        """Return all that is wrong: constant or repeated images, and sizes other than the reference's."""
        order = sorted(self.images)
        images = [self.images[index] for index in order]
        problems = list(self.problems)
        constant = constant_images(images)
        if constant:
            problems.append(
                f"{len(constant)} of {len(images)} images of the {self.role} are one flat colour "
                f"(samples {_some([order[index] for index in constant])})"
            )
        copies = [(first, later) for first, later in duplicate_images(images) if later not in constant]
        if copies:
            pairs = ", ".join(f"{order[first]} = {order[later]}" for first, later in copies[:3])
            problems.append(
                f"{len(copies)} of {len(images)} images of the {self.role} repeat another one, "
                f"although prompts and seeds differ (samples {pairs})"
            )
        if reference is not None:
            problems.extend(self._size_problems(reference))
        return problems

    def _size_problems(self, reference: Gallery) -> list[str]:
        for index in sorted(self.images.keys() & reference.images.keys()):
            found, expected = self.images[index].shape, reference.images[index].shape
            if found != expected:
                return [
                    f"sample {index} of the {self.role} is {found[1]} x {found[0]} pixels, "
                    f"the {reference.role}'s is {expected[1]} x {expected[0]}"
                ]
        return []


def _some(indices: list[int]) -> str:
    return ", ".join(map(str, indices[:5])) + (", ..." if len(indices) > 5 else "")
