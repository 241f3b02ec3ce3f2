"""Perceptual distances of piq and of NVIDIA's FLIP, without learned weights; computed in the scoring process.

Both libraries are imported when a metric is first computed: collecting imports neither torch nor a compiled extension.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.metrics.image_fidelity import IMAGE_METRICS, Pixels

# Weights of the scales of MS-SSIM (Wang et al. 2003). Small images have fewer scales, and then the weights of those.
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW = 11
# The least side at which GMSD and HaarPSI are defined in piq: three scales of wavelets need 16 pixels.
_LEAST_SIDE = 16


@IMAGE_METRICS.register(
    "ms_ssim", low=0, high=1, same=1, in_scorer=True,
    source="Wang et al. 2003, Asilomar Conference 37:1398; piq, with as many of the five scales as the image has",
)  # fmt: skip
def ms_ssim(image: Pixels, reference: Pixels) -> float | None:
    """Return the structural similarity over several scales in [0, 1], higher is closer; None under 11 pixels.

    All five scales need a side of 161 pixels. A smaller image has fewer, whose weights are made to sum to 1: values of
    images of different sizes do not compare.

    Args:
        image, reference: uint8 arrays of the same shape [height, width, 3].

    Example:
        >>> image = (np.arange(3072) % 251).astype(np.uint8).reshape(32, 32, 3)
        >>> round(ms_ssim(image, image), 6)
        1.0
    """
    scales = scales_of(min(image.shape[:2]))
    if not scales:
        return None
    piq, torch = _piq()
    weights = torch.tensor(_SCALE_WEIGHTS[:scales])
    value = piq.multi_scale_ssim(*_tensors(torch, image, reference), data_range=1.0, scale_weights=weights)
    return min(1.0, float(value))


def scales_of(side: int) -> int:
    """Return how many scales of MS-SSIM an image of this shortest side has, at most five.

    Example:
        >>> [scales_of(side) for side in (10, 11, 32, 160, 161, 1024)]
        [0, 1, 2, 4, 5, 5]
    """
    scales = 0
    while scales < len(_SCALE_WEIGHTS) and (_WINDOW - 1) * 2**scales + 1 <= side:
        scales += 1
    return scales


@IMAGE_METRICS.register(
    "gmsd", higher_is_better=False, low=0, high=1, same=0, in_scorer=True,
    source="Xue et al. 2014, IEEE Transactions on Image Processing 23:684; piq",
)  # fmt: skip
def gmsd(image: Pixels, reference: Pixels) -> float | None:
    """Return the deviation of the gradient magnitude similarity, from 0, lower is closer; None under 16 pixels.

    Args:
        image, reference: uint8 arrays of the same shape [height, width, 3].

    Example:
        >>> image = (np.arange(3072) % 251).astype(np.uint8).reshape(32, 32, 3)
        >>> gmsd(image, image)
        0.0
    """
    if min(image.shape[:2]) < _LEAST_SIDE:
        return None
    piq, torch = _piq()
    return float(piq.gmsd(*_tensors(torch, image, reference), data_range=1.0))


@IMAGE_METRICS.register(
    "haarpsi", low=0, high=1, same=1, in_scorer=True,
    source="Reisenhofer et al. 2018, Signal Processing: Image Communication 61:33; piq",
)  # fmt: skip
def haarpsi(image: Pixels, reference: Pixels) -> float | None:
    """Return the similarity by Haar wavelets in [0, 1], higher is closer; None under 16 pixels.

    Args:
        image, reference: uint8 arrays of the same shape [height, width, 3].

    Example:
        >>> image = (np.arange(3072) % 251).astype(np.uint8).reshape(32, 32, 3)
        >>> round(haarpsi(image, image), 4)
        1.0
    """
    if min(image.shape[:2]) < _LEAST_SIDE:
        return None
    piq, torch = _piq()
    # Rounding takes two equal images just above 1.
    return min(1.0, float(piq.haarpsi(*_tensors(torch, image, reference), data_range=1.0)))


@IMAGE_METRICS.register(
    "flip", higher_is_better=False, low=0, high=1, same=0, in_scorer=True,
    source="Andersson et al. 2020, Proceedings of the ACM on Computer Graphics 3(2); flip-evaluator, 67 pixels a degree",
)  # fmt: skip
def flip(image: Pixels, reference: Pixels) -> float:
    """Return the mean LDR-FLIP error in [0, 1], lower is closer: what an eye sees when the two images alternate.

    Args:
        image, reference: uint8 arrays of the same shape [height, width, 3].

    Example:
        >>> image = (np.arange(3072) % 251).astype(np.uint8).reshape(32, 32, 3)
        >>> flip(image, image), flip(np.zeros_like(image), np.full_like(image, 255)) > 0.9
        (0.0, True)
    """
    import flip_evaluator  # noqa: PLC0415

    one, other = (np.ascontiguousarray(pixels, np.float32) / np.float32(255) for pixels in (reference, image))
    library: Any = flip_evaluator
    _, mean, _ = library.evaluate(one, other, "LDR", applyMagma=False)
    return float(mean)


def _piq() -> tuple[Any, Any]:
    from bench.machine.torchvision_shim import ensure_torchvision  # noqa: PLC0415

    ensure_torchvision()
    import piq  # noqa: PLC0415
    import torch  # noqa: PLC0415

    return piq, torch


def _tensors(torch: Any, *images: Pixels) -> list[Any]:
    """Return images as float tensors [1, 3, height, width] from 0 to 1."""
    return [torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255 for image in images]
