"""CLIP score: 100 times the cosine of an image's and a text's embedding, not clipped at zero.

Source: Hessel et al. 2021, "CLIPScore", without its weight of 2.5 and without its clipping, so that a
loss between two pipelines stays linear in the cosine.
"""

from __future__ import annotations

import numpy as np


def clip_score(image_embeddings: np.ndarray, text_embeddings: np.ndarray) -> np.ndarray:
    """Return the score of each row pair, in [-100, 100].

    Args:
        image_embeddings: [n, width], any length of vector but zero.
        text_embeddings: [n, width], row i belongs to image i.

    Raises:
        ValueError: when the shapes differ, or a row is zero or not finite.
    """
    images, texts = _unit(image_embeddings, "image"), _unit(text_embeddings, "text")
    if images.shape != texts.shape:
        raise ValueError(f"embeddings of shape {images.shape} and {texts.shape} cannot be paired row by row")
    return 100.0 * (images * texts).sum(axis=1)


def _unit(rows: np.ndarray, what: str) -> np.ndarray:
    rows = np.atleast_2d(np.asarray(rows, dtype=np.float64))
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(lengths[:, 0]) | (lengths[:, 0] == 0))
    if bad.size:
        raise ValueError(f"the {what} embedding {bad[0]} is zero or not finite; the model cannot score it")
    return rows / lengths
