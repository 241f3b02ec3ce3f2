"""How close images are to the images of a reference (SSIM, PSNR), and images that are no pictures at all.

A metric of your own is one function in a file of a ``--user-dir`` folder::

    from bench.metrics.image_fidelity import IMAGE_METRICS

    @IMAGE_METRICS.register("mean_absolute_error", higher_is_better=False, low=0, high=255, same=0)
    def mean_absolute_error(image, reference):
        return float(np.abs(image.astype(int) - reference.astype(int)).mean())
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.core.registry import Registry, caller_place

Pixels = NDArray[Any]
F = TypeVar("F")
Form = Literal["pair", "image", "set"]
"""What a metric looks at: an image next to its reference, an image alone, or all images of an arm."""

# Below this standard deviation of 8-bit values an image is one flat colour but for rounding.
CONSTANT_STD = 1.0
# scikit-image's default window; smaller images take the largest odd window that fits.
_SSIM_WINDOW = 7


@dataclass(frozen=True)
class ImageMetric:
    """A number for an image.

    Attributes:
        name: as in `IMAGE_METRICS`.
        function: of a ``pair`` takes two uint8 arrays of the same shape [height, width, 3], of an ``image`` one of them, and
            returns a number, or None where it does not exist; of a ``set`` takes a list of images and returns one such value
            for each.
        higher_is_better: whether a greater number is closer, or better; None where neither end is.
        form: what it looks at.
        low, high: ends of its range.
        same: of a ``pair``, its value for an image and its copy; None where there is none or it is not known.
        in_scorer: whether it is computed in the scoring process, which has torch.
        source: where it is from.
    """

    name: str
    function: Callable[..., Any]
    higher_is_better: bool | None = True
    form: Form = "pair"
    low: float = -math.inf
    high: float = math.inf
    same: float | None = None
    in_scorer: bool = False
    source: str = ""

    def __call__(self, *images: Any) -> Any:
        """Return what the function returns."""
        return self.function(*images)


class ImageMetrics(Registry[ImageMetric]):
    """The image metrics, by name."""

    def register(
        self,
        name: str,
        *,
        higher_is_better: bool | None = True,
        form: Form = "pair",
        low: float = -math.inf,
        high: float = math.inf,
        same: float | None = None,
        in_scorer: bool = False,
        source: str = "",
    ) -> Callable[[F], F]:
        """Return a decorator that registers a function as an `ImageMetric` and returns it unchanged.

        Args:
            name: in records, tables, requirements and the field ``quality`` of a task.
            higher_is_better: whether a greater number is closer, or better; None where neither end is.
            form: ``pair``, ``image`` or ``set``.
            low, high: ends of its range; a limit outside of it is refused.
            same: of a ``pair``, its value for an image and its copy.
            in_scorer: whether it needs torch.
            source: where it is from, for the page of metrics.

        Raises:
            ValueError: the name is taken; the message names both places. Or an unknown form, or a range without a width.

        Example:
            >>> metrics = ImageMetrics("image metric")
            >>> @metrics.register("largest_difference", higher_is_better=False)
            ... def largest_difference(image, reference):
            ...     return float(np.abs(image.astype(int) - reference.astype(int)).max())
            >>> metrics["largest_difference"](np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 9, np.uint8))
            9.0
        """
        place = caller_place()
        if form not in ("pair", "image", "set"):
            raise ValueError(
                f"{self.what} {name!r} ({place}) has the form {form!r}; expected pair, image or set; correct it"
            )
        if not low < high:
            raise ValueError(
                f"{self.what} {name!r} ({place}) has a range from {low:g} to {high:g}; expected low below high; correct it"
            )

        def decorate(function: F) -> F:
            # F keeps the type of what is decorated, and a function is all that it is used for.
            metric = ImageMetric(
                name, function, higher_is_better, form, low, high, same, in_scorer, source  # type: ignore[arg-type]
            )  # fmt: skip
            self.add(name, metric, place=place)
            return function

        return decorate

    def of_form(self, *forms: Form) -> list[str]:
        """Return the names of the metrics of these forms, in the order of registration."""
        return [name for name, metric in self.items() if metric.form in forms]


IMAGE_METRICS = ImageMetrics(
    "image metric", "register it with @IMAGE_METRICS.register in a file of a --user-dir folder"
)
"""How close an image is to its reference, and what it is like; every registered metric is in every record of a pair."""


@IMAGE_METRICS.register(
    "ssim",
    low=-1,
    high=1,
    same=1,
    source="Wang et al. 2004, IEEE Transactions on Image Processing 13:600; scikit-image",
)
def ssim(image: Pixels, reference: Pixels) -> float:
    """Return the mean structural similarity in [-1, 1], higher is closer.

    Source: Wang et al. 2004, as in scikit-image.

    Args:
        image, reference: uint8 arrays of the same shape [height, width, 3].

    Example:
        >>> image = np.arange(300, dtype=np.uint8).reshape(10, 10, 3)
        >>> ssim(image, image)
        1.0
    """
    from skimage.metrics import structural_similarity  # noqa: PLC0415

    shortest = min(image.shape[:2])
    window = min(_SSIM_WINDOW, shortest if shortest % 2 else shortest - 1)
    similarity = structural_similarity(  # type: ignore[no-untyped-call]  # scikit-image ships no types for it
        image, reference, channel_axis=2, win_size=window, data_range=255
    )
    return float(similarity)


@IMAGE_METRICS.register("psnr_db", low=0, source="10 log10(255^2 / mean squared error)")
def psnr(image: Pixels, reference: Pixels) -> float | None:
    """Return the peak signal-to-noise ratio in dB, or None for identical images, where it is infinite.

    Args:
        image, reference: uint8 arrays of the same shape [height, width, 3].

    Example:
        >>> flat = np.full((4, 4, 3), 100, np.uint8)
        >>> round(psnr(flat, flat + np.uint8(1)), 2), psnr(flat, flat)
        (48.13, None)
    """
    error = np.mean((image.astype(np.float64) - reference.astype(np.float64)) ** 2)
    return None if error == 0 else float(10 * np.log10(255**2 / error))


def frames_of(output: Pixels) -> Pixels:
    """Return the frames [frames, height, width, 3] of a video; an image [height, width, 3] is its only frame."""
    return output.reshape(-1, *output.shape[-3:])


def constant_images(images: Sequence[Pixels]) -> list[int]:
    """Return the indices of images of one flat colour, and of videos whose frames all are.

    Example:
        >>> constant_images([np.zeros((2, 2, 3), np.uint8), np.eye(6, dtype=np.uint8).reshape(2, 6, 3) * 255])
        [0]
    """
    return [
        index
        for index, image in enumerate(images)
        if all(frame.std(axis=(0, 1)).max() < CONSTANT_STD for frame in frames_of(image))
    ]


def duplicate_images(images: Sequence[Pixels]) -> list[tuple[int, int]]:
    """Return ``(first, later)`` index pairs of images, or videos, that are equal in every pixel.

    Example:
        >>> black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
        >>> duplicate_images([black, white, black])
        [(0, 2)]
    """
    first_seen: dict[bytes, int] = {}
    pairs = []
    for index, image in enumerate(images):
        digest = hashlib.sha256(image.tobytes() + repr(image.shape).encode()).digest()
        first = first_seen.setdefault(digest, index)
        if first != index:
            pairs.append((first, index))
    return pairs
