"""Distances between two sets of images by their CLIP embeddings; both are biased where the sets are small.

They are computed on the embeddings of the model of ``--clip``. Published FID is computed on Inception-v3, published CMMD on
CLIP ViT-L/14 at 336 pixels: values compare within one such model only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST_IMAGES = 2_000
"""Images of each arm from which on a task may gate one of these distances."""
_SIGMA, _SCALE = 10.0, 1000.0  # of CMMD

DISTRIBUTIONS: dict[str, str] = {
    "fid_clip": "Heusel et al. 2017, NeurIPS, on embeddings of --clip in place of Inception-v3",
    "cmmd": "Jayasumana et al. 2024, CVPR, on embeddings of --clip; kernel width 10, times 1000",
}
"""Names, each with its source."""


def fid_clip(embeddings: NDArray[Any], references: NDArray[Any]) -> float:
    """Return the Frechet distance of two sets of embeddings: from 0, lower is closer.

    ``|m1 - m2|^2 + Tr(S1 + S2 - 2 (S1 S2)^0.5)`` of means and covariances. The trace of the root is the sum of the singular
    values of the product of the centred sets, so that few samples in many dimensions need no root of a singular matrix.

    Args:
        embeddings, references: shapes [n, width] and [m, width], at least two rows each.

    Raises:
        ValueError: fewer rows, or other shapes.

    Example:
        >>> points = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
        >>> round(fid_clip(points, points), 9), round(fid_clip(points + 2, points), 9)
        (0.0, 8.0)
    """
    one, other = _tables(embeddings, references)
    means = one.mean(axis=0), other.mean(axis=0)
    centred = (one - means[0]) / np.sqrt(len(one) - 1), (other - means[1]) / np.sqrt(len(other) - 1)
    cross = np.linalg.svd(centred[0] @ centred[1].T, compute_uv=False).sum()
    distance = ((means[0] - means[1]) ** 2).sum() + sum((part**2).sum() for part in centred) - 2 * cross
    return max(0.0, float(distance))


def cmmd(embeddings: NDArray[Any], references: NDArray[Any]) -> float:
    """Return 1000 times the squared maximum mean discrepancy of two sets of unit vectors: from 0, lower is closer.

    Args:
        embeddings, references: shapes [n, width] and [m, width], at least two rows each.

    Raises:
        ValueError: fewer rows, or other shapes.

    Example:
        >>> points = np.array([[0.0, 1.0], [1.0, 0.0]])
        >>> cmmd(points, points), cmmd(points, -points) > 1
        (0.0, True)
    """
    one, other = _tables(embeddings, references)
    found = _kernel(one, one) + _kernel(other, other) - 2 * _kernel(one, other)
    return max(0.0, float(_SCALE * found))


def distances(embeddings: NDArray[Any], references: NDArray[Any]) -> dict[str, float]:
    """Return both distances by name."""
    return {
        name: function(embeddings, references) for name, function in (("fid_clip", fid_clip), ("cmmd", cmmd))
    }


def bias_warning(count: int) -> str | None:
    """Return the sentence that so few images say little of a distribution; None where they are enough.

    Example:
        >>> bias_warning(2_000) is None
        True
    """
    if count >= LEAST_IMAGES:
        return None
    return (
        f"of {count} images: both distances are too large by an amount that depends on their number, so they compare only "
        f"with values of as many images; expected at least {LEAST_IMAGES:,}"
    )


def _kernel(one: NDArray[Any], other: NDArray[Any]) -> float:
    squared = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None] - 2 * one @ other.T
    return float(np.exp(-squared / (2 * _SIGMA**2)).mean())


def _tables(*sets: NDArray[Any]) -> list[NDArray[np.float64]]:
    tables = [np.asarray(rows, np.float64) for rows in sets]
    shapes = " and ".join(str(table.shape) for table in tables)
    if any(table.ndim != 2 or len(table) < 2 for table in tables) or len({t.shape[1] for t in tables}) > 1:
        raise ValueError(
            f"found embeddings of shapes {shapes}, expected [n, width] with two rows or more each"
        )
    return tables
