"""Attention of one new token in each row, as writing asks for it. Imports torch."""

from __future__ import annotations

import torch


def is_added(mask: torch.Tensor | None, key: torch.Tensor) -> bool:
    """Whether a mask is added to scores, and the same for all heads."""
    if mask is None:
        return True
    return mask.is_floating_point() and mask.ndim == 4 and mask.shape[1:] == (1, 1, key.shape[2])


def of_one(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, scaling: float | None
) -> torch.Tensor:  # fmt: skip
    """Return the attention of one new token in each row, [rows, 1, heads, size].

    Args:
        query: [rows, heads, 1, size].
        key, value: [rows, heads of keys, keys, size]; the two may differ in size.
        mask: [rows or 1, 1, 1, keys], added to scores; None shows everything.
        scaling: of scores; None is one over the root of the size.

    Torch's own has a tiny product for each head of each row, and reads copies of the keys where several heads share
    them; here the heads that share keys are the rows of one product.
    """
    rows, heads, _, size = query.shape
    of_keys, count = key.shape[1], key.shape[2]
    scaled = (query * (size**-0.5 if scaling is None else scaling)).reshape(rows * of_keys, -1, size)
    scores = torch.bmm(scaled, key.flatten(0, 1).transpose(1, 2))
    if mask is not None:
        scores.view(rows, of_keys, -1, count).add_(mask)
    seen = torch.bmm(torch.softmax(scores, -1), value.flatten(0, 1))
    return seen.view(rows, 1, heads, value.shape[-1])
