"""How close images are to the images of a reference: SSIM, PSNR, and images that are no pictures at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from bench.core.registry import Registry

ImageMetric = Callable[[np.ndarray, np.ndarray], float | None]
IMAGE_METRICS: Registry[ImageMetric] = Registry("image metric")
"""Similarity of an image to its reference, higher is closer; every registered metric is in every record."""

# Below this standard deviation of 8-bit values an image is one flat colour but for rounding.
CONSTANT_STD = 1.0
# scikit-image's default window; smaller images take the largest odd window that fits.
_SSIM_WINDOW = 7


@IMAGE_METRICS.register("ssim")
def ssim(image: np.ndarray, reference: np.ndarray) -> float:
    """Return the mean structural similarity in [-1, 1], higher is closer.

    Args:
        image, reference: uint8 arrays of the same shape [height, width, 3].

    Source: Wang et al. 2004, as in scikit-image.
    """
    from skimage.metrics import structural_similarity  # noqa: PLC0415

    shortest = min(image.shape[:2])
    window = min(_SSIM_WINDOW, shortest if shortest % 2 else shortest - 1)
    return float(structural_similarity(image, reference, channel_axis=2, win_size=window, data_range=255))


@IMAGE_METRICS.register("psnr_db")
def psnr(image: np.ndarray, reference: np.ndarray) -> float | None:
    """Return the peak signal-to-noise ratio in dB, or None for identical images, where it is infinite."""
    error = np.mean((image.astype(np.float64) - reference.astype(np.float64)) ** 2)
    return None if error == 0 else float(10 * np.log10(255**2 / error))


def constant_images(images: Sequence[np.ndarray]) -> list[int]:
    """Return the indices of images of one flat colour."""
    return [index for index, image in enumerate(images) if image.std(axis=(0, 1)).max() < CONSTANT_STD]


def duplicate_images(images: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    """Return ``(first, later)`` index pairs of images that are equal in every pixel."""
    first_seen: dict[bytes, int] = {}
    pairs = []
    for index, image in enumerate(images):
        digest = hashlib.sha256(image.tobytes() + repr(image.shape).encode()).digest()
        first = first_seen.setdefault(digest, index)
        if first != index:
            pairs.append((first, index))
    return pairs
