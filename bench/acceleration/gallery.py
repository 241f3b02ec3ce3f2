"""The images of an arm by sample, what is wrong with them, and their scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.acceleration.cache import ContentCache
from bench.acceleration.pipeline_arm import Batch
from bench.acceleration.process import ArmProcess
from bench.acceleration.prompts import Sample
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
                f"the {self.role} returned {len(batch.images)} images for {len(indices)} prompts; one a prompt is expected"
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


class Scoring:
    """CLIP embeddings of images and prompts, shared through the run's cache.

    Args:
        scorer: the trusted scoring process, with its model loaded.
        clip: name of the model, part of every key.
        cache: the run's cache.
    """

    def __init__(self, scorer: ArmProcess, clip: str, cache: ContentCache) -> None:
        self._scorer, self._clip, self._cache = scorer, clip, cache

    def scores(self, samples: list[Sample], images: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(scores, image embeddings)``: 100 times the cosine, [n] float64, and unit rows [n, width]."""
        from bench.metrics.clip_score import clip_score  # noqa: PLC0415

        texts = self._embed_prompts([sample.prompt for sample in samples])
        embeddings = self._embed_images(images)
        return clip_score(embeddings, texts), embeddings

    def _embed_prompts(self, prompts: list[str]) -> np.ndarray:
        import numpy as np  # noqa: PLC0415

        key = self._cache.key("texts", self._clip, prompts)
        stored = self._cache.load(key)
        if stored is None:
            with self._cache.locked(key):
                stored = self._cache.load(key)
                if stored is None:
                    header, payload, _ = self._scorer.ask({"op": "embed_texts", "texts": prompts})
                    rows = np.frombuffer(payload, dtype=np.float32).reshape(header["shape"])
                    self._cache.store(key, rows=rows)
                    return rows
        return stored["rows"]

    def _embed_images(self, images: list[np.ndarray]) -> np.ndarray:
        import numpy as np  # noqa: PLC0415

        shapes = [list(image.shape[:2]) for image in images]
        pixels = b"".join(image.tobytes() for image in images)
        header, payload, _ = self._scorer.ask({"op": "embed_images", "shapes": shapes}, pixels)
        return np.frombuffer(payload, dtype=np.float32).reshape(header["shape"])


def _some(indices: list[int]) -> str:
    return ", ".join(map(str, indices[:5])) + (", ..." if len(indices) > 5 else "")
