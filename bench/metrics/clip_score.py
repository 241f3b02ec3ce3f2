"""CLIP score: 100 times the cosine of an image's and a text's embedding, not clipped at zero.

Source: Hessel et al. 2021, "CLIPScore", without its weight of 2.5 and without its clipping, so that a
loss between two pipelines stays linear in the cosine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def clip_score(image_embeddings: NDArray[Any], text_embeddings: NDArray[Any]) -> NDArray[np.float64]:
    """Return the score of each row pair, in [-100, 100].

    Args:
        image_embeddings: shape [n, width], vectors of any length but zero.
        text_embeddings: shape [n, width]; row i belongs to image i.

    Raises:
        ValueError: the shapes differ, or a row is zero or not finite.

    Example:
        >>> clip_score(np.array([[3.0, 4.0]]), np.array([[6.0, 8.0]])).round(6).tolist()
        [100.0]
    """
    images, texts = _unit(image_embeddings, "image"), _unit(text_embeddings, "text")
    if images.shape != texts.shape:
        raise ValueError(
            f"found embeddings of the shapes {images.shape} and {texts.shape}, expected equal ones; embed one text "
            "for each image"
        )
    scores: NDArray[np.float64] = 100.0 * (images * texts).sum(axis=1)
    return scores


def _unit(rows: NDArray[Any], what: str) -> NDArray[np.float64]:
    rows = np.atleast_2d(np.asarray(rows, dtype=np.float64))
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(lengths[:, 0]) | (lengths[:, 0] == 0))
    if bad.size:
        raise ValueError(
            f"found {what} embedding {bad[0]} zero or not finite, expected a direction; see what the model made "
            "of it"
        )
    unit: NDArray[np.float64] = rows / lengths
    return unit
