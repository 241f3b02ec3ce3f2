"""What images are like without a look at a reference: light, colour, sharpness, noise, and how they differ from each other.

A pipeline that is accelerated may make other images of the same prompt. What holds of all its images together stays: they
are as sharp, as bright, as colourful and as unlike each other as the baseline's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bench.metrics.image_fidelity import IMAGE_METRICS, Pixels

# Under this luma a pixel is black to the eye on most screens.
_BLACK = 8
# Images are compared with each other at this size: what they show, not their texture.
_THUMBNAIL = 16
_BLOCK = 8  # of JPEG
_COPY = 1.0  # grey levels of thumbnails


@IMAGE_METRICS.register(
    "brightness", higher_is_better=None, form="image", low=0, high=255, source="mean luma, Rec. 601"
)
def brightness(image: Pixels) -> float:
    """Return the mean luma from 0 to 255.

    Args:
        image: uint8 array [height, width, 3], as in all functions of this module.

    Example:
        >>> brightness(np.full((4, 4, 3), 100, np.uint8))
        100.0
    """
    return round(float(_luma(image).mean()), 6)


@IMAGE_METRICS.register(
    "contrast",
    higher_is_better=None,
    form="image",
    low=0,
    high=127.5,
    source="Peli 1990: RMS contrast of the luma",
)
def contrast(image: Pixels) -> float:
    """Return the standard deviation of the luma, from 0 for a flat image to 127.5.

    Example:
        >>> contrast(np.repeat(np.array([[[0], [255]]], np.uint8), 3, axis=2))
        127.5
    """
    return round(float(_luma(image).std()), 6)


@IMAGE_METRICS.register(
    "saturation",
    higher_is_better=None,
    form="image",
    low=0,
    high=255,
    source="mean of max(R, G, B) - min(R, G, B)",
)
def saturation(image: Pixels) -> float:
    """Return the mean chroma, the largest minus the least of R, G and B: 0 for grey, 255 for pure colours.

    Example:
        >>> saturation(np.array([[[255, 0, 0], [90, 90, 90]]], np.uint8))
        127.5
    """
    return float((image.max(axis=2).astype(int) - image.min(axis=2)).mean())


@IMAGE_METRICS.register(
    "red_green",
    higher_is_better=None,
    form="image",
    low=-128,
    high=128,
    source="mean a* of CIELAB; scikit-image",
)
def red_green(image: Pixels) -> float:
    """Return the mean a* of CIELAB: above 0 for red, under 0 for green.

    Example:
        >>> round(red_green(np.array([[[255, 0, 0]]], np.uint8))), round(red_green(np.array([[[0, 255, 0]]], np.uint8)))
        (80, -86)
    """
    return float(_lab(image)[..., 1].mean())


@IMAGE_METRICS.register(
    "yellow_blue",
    higher_is_better=None,
    form="image",
    low=-128,
    high=128,
    source="mean b* of CIELAB; scikit-image",
)
def yellow_blue(image: Pixels) -> float:
    """Return the mean b* of CIELAB: above 0 for yellow, under 0 for blue.

    Example:
        >>> round(yellow_blue(np.array([[[255, 255, 0]]], np.uint8)))
        94
    """
    return float(_lab(image)[..., 2].mean())


@IMAGE_METRICS.register(
    "sharpness", higher_is_better=None, form="image", low=0, high=1,
    source="1 minus the blur of Crete et al. 2007, SPIE 6492; scikit-image's blur_effect",
)  # fmt: skip
def sharpness(image: Pixels) -> float | None:
    """Return how much of the change from pixel to pixel a blur would take away, from 0 to 1; None for a flat image.

    Example:
        >>> from scipy.ndimage import gaussian_filter
        >>> image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        >>> sharpness(image) > sharpness(gaussian_filter(image, (1.5, 1.5, 0)))
        True
    """
    from skimage.measure import blur_effect  # noqa: PLC0415

    if min(image.shape[:2]) < 3 or not np.ptp(image):
        return None
    value = float(blur_effect(image, h_size=min(11, *image.shape[:2]), channel_axis=2))  # type: ignore[no-untyped-call]
    return 1 - value if math.isfinite(value) else None


@IMAGE_METRICS.register(
    "noise", higher_is_better=None, form="image", low=0,
    source="Immerkaer 1996, Computer Vision and Image Understanding 64:300, on the luma",
)  # fmt: skip
def noise(image: Pixels) -> float | None:
    """Return the standard deviation of white noise that the finest texture amounts to, in grey levels; None under 3 pixels.

    Example:
        >>> flat = np.full((64, 64, 3), 128.0) + np.random.default_rng(0).normal(0, 10, (64, 64, 1))
        >>> round(noise(flat.round().astype(np.uint8)))
        10
    """
    if min(image.shape[:2]) < 3:
        return None
    luma = _luma(image)
    # The mask [1 -2 1; -2 4 -2; 1 -2 1]: two second differences, one down and one across.
    response = np.abs(np.diff(np.diff(luma, 2, axis=0), 2, axis=1))
    return float(math.sqrt(math.pi / 2) / 6 * response.mean())


@IMAGE_METRICS.register(
    "blockiness", higher_is_better=False, form="image", low=0,
    source="after Wang, Bovik and Evans 2000: steps across the edges of JPEG's blocks, over steps within them",
)  # fmt: skip
def blockiness(image: Pixels) -> float | None:
    """Return the mean step of the luma across the edges of blocks of 8 pixels over that elsewhere; about 1 without blocks.

    None under 16 pixels, and for an image without any steps.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> fine, blocks = rng.integers(0, 256, (64, 64, 3)), rng.integers(0, 256, (8, 8, 3)).repeat(8, 0).repeat(8, 1)
        >>> 0.9 < blockiness(fine.astype(np.uint8)) < 1.1 < blockiness((fine / 16 + blocks / 2).astype(np.uint8))
        True
    """
    if min(image.shape[:2]) < 2 * _BLOCK:
        return None
    luma = _luma(image)
    edges, others = [], []
    for axis in (0, 1):
        steps = np.abs(np.diff(luma, axis=axis)).mean(axis=1 - axis)
        is_edge = np.arange(1, len(steps) + 1) % _BLOCK == 0
        edges.append(steps[is_edge].mean())
        others.append(steps[~is_edge].mean())
    if not sum(others):
        return None
    return float(sum(edges) / sum(others))


@IMAGE_METRICS.register(
    "black_share",
    higher_is_better=False,
    form="image",
    low=0,
    high=1,
    source="share of pixels with a luma under 8",
)
def black_share(image: Pixels) -> float:
    """Return the share of pixels that are black to the eye.

    Example:
        >>> black_share(np.array([[[0, 0, 0], [90, 90, 90]]], np.uint8))
        0.5
    """
    return float((_luma(image) < _BLACK).mean())


@IMAGE_METRICS.register(
    "diversity", form="set", low=0, high=255,
    source="mean absolute difference of 16 x 16 thumbnails, from each image to the one most like it",
)  # fmt: skip
def diversity(images: Sequence[Pixels]) -> list[float | None]:
    """Return how far each image is from the other one that is most like it, in grey levels of thumbnails; 0 is a copy.

    Args:
        images: of different prompts and seeds, of any sizes.

    Returns:
        One value for each; None where there is no other image.

    Example:
        >>> black, grey = np.zeros((32, 32, 3), np.uint8), np.full((32, 32, 3), 50, np.uint8)
        >>> diversity([black, grey, grey]), diversity([black])
        ([50.0, 0.0, 0.0], [None])
    """
    return nearest([thumbnail(image) for image in images])


def nearest(thumbnails: Sequence[Pixels]) -> list[float | None]:
    """Return how far each thumbnail is from the other one that is most like it; None where there is no other."""
    if len(thumbnails) < 2:
        return [None] * len(thumbnails)
    table = np.array([one.ravel() for one in thumbnails])
    found: list[float | None] = []
    for index, one in enumerate(table):
        distances = np.abs(table - one).mean(axis=1)
        distances[index] = np.inf
        found.append(round(float(distances.min()), 6))
    return found


@IMAGE_METRICS.register(
    "copies", higher_is_better=False, form="set", low=0, high=1,
    source="1 for an image whose thumbnail another one has within one grey level, else 0; the mean is their share",
)  # fmt: skip
def copies(images: Sequence[Pixels]) -> list[float | None]:
    """Return 1 for each image that is nearly a copy of another one, else 0; exact copies are found without it.

    Example:
        >>> black, grey = np.zeros((32, 32, 3), np.uint8), np.full((32, 32, 3), 50, np.uint8)
        >>> copies([black, grey, grey + np.uint8(1), black + np.uint8(9)])
        [0.0, 1.0, 1.0, 0.0]
    """
    return copies_of(diversity(images))


def copies_of(distances: Sequence[float | None]) -> list[float | None]:
    """Return 1 for each distance to the nearest other image that makes a copy, else 0; None stays None."""
    return [None if value is None else float(value <= _COPY) for value in distances]


@IMAGE_METRICS.register(
    "shift_x", higher_is_better=None, low=-1, high=1, same=0,
    source="phase correlation (Guizar-Sicairos et al. 2008, Optics Letters 33:156; scikit-image), share of the width",
)  # fmt: skip
def shift_x(image: Pixels, reference: Pixels) -> float:
    """Return how far to the right of the reference the image is shifted, as a share of its width.

    A single image may be shifted, or be another one. The mean over many prompts is only off 0 where all are shifted alike.

    Args:
        image, reference: uint8 arrays of the same shape [height, width, 3].

    Example:
        >>> reference = np.random.default_rng(0).integers(0, 256, (16, 32, 3), dtype=np.uint8)
        >>> shift_x(np.roll(reference, 4, axis=1), reference), shift_y(np.roll(reference, 4, axis=1), reference)
        (0.125, 0.0)
    """
    return _shift(image, reference)[1]


@IMAGE_METRICS.register(
    "shift_y", higher_is_better=None, low=-1, high=1, same=0,
    source="phase correlation (Guizar-Sicairos et al. 2008, Optics Letters 33:156; scikit-image), share of the height",
)  # fmt: skip
def shift_y(image: Pixels, reference: Pixels) -> float:
    """Return how far below the reference the image is shifted, as a share of its height; see `shift_x`.

    Example:
        >>> reference = np.random.default_rng(0).integers(0, 256, (16, 32, 3), dtype=np.uint8)
        >>> shift_y(np.roll(reference, -2, axis=0), reference)
        -0.125
    """
    return _shift(image, reference)[0]


def _luma(image: Pixels) -> Pixels:
    luma: Pixels = image.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    return luma


def _lab(image: Pixels) -> Pixels:
    from skimage.color import rgb2lab  # noqa: PLC0415

    lab: Pixels = rgb2lab(image)
    return lab


def _shift(image: Pixels, reference: Pixels) -> tuple[float, float]:
    from skimage.registration import phase_cross_correlation  # noqa: PLC0415

    one, other = (_luma(pixels) for pixels in (image, reference))
    if not (np.ptp(one) and np.ptp(other)):
        return 0.0, 0.0  # a flat image is nowhere
    # Without normalization: noise of a wide band would drown what both show.
    shift, _, _ = phase_cross_correlation(  # type: ignore[no-untyped-call]
        one - one.mean(), other - other.mean(), normalization=None
    )
    down, right = (float(moved) / side for moved, side in zip(shift, one.shape, strict=True))
    return down + 0.0, right + 0.0  # never -0.0


def thumbnail(image: Pixels) -> Pixels:
    """Return an image at 16 x 16 pixels, floats in grey levels."""
    from skimage.transform import resize  # noqa: PLC0415

    small: Pixels = resize(  # type: ignore[no-untyped-call]
        image.astype(np.float64), (_THUMBNAIL, _THUMBNAIL), anti_aliasing=True
    )
    return small
