"""Masks of attention, as the models of transformers take them. Imports torch when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# Kind of layer and its window in tokens; None is all tokens.
Windows = Mapping[str, int | None]

FULL = "full_attention"
SLIDING = "sliding_attention"
# Attends locally by the index in memory and ignores mask and positions.
OWN_LOCAL_ATTENTION = {"gpt_neo"}


def attention_windows(config: Any) -> dict[str, int | None] | None:
    """Return the attention window of each kind of layer; None if a kind is neither full nor sliding.

    Args:
        config: of a decoder.
    """
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)
    if kinds is None:
        return {SLIDING if window else FULL: window or None}
    if not set(kinds) <= {FULL, SLIDING}:
        return None
    return {kind: window if kind == SLIDING else None for kind in sorted(set(kinds))}


def by_kind(masks: Mapping[str, torch.Tensor]) -> Any:
    """Return the masks of the kinds of layers as a model takes them: one by itself, several by name."""
    return next(iter(masks.values())) if len(masks) == 1 else dict(masks)


def additive(seen: torch.Tensor, dtype: torch.dtype, device: Any) -> torch.Tensor:
    """Return what is added to the scores of attention: 0 for what is seen, the least number for the rest.

    Args:
        seen: bool [rows, queries, keys].
        dtype, device: of the mask.

    Returns:
        [rows, 1, queries, keys].
    """
    import torch  # noqa: PLC0415

    mask = torch.zeros(seen.shape, dtype=dtype)
    return mask.masked_fill_(~seen, torch.finfo(dtype).min)[:, None].to(device)


def windowed(
    windows: Windows, allowed: torch.Tensor, distance: torch.Tensor, dtype: torch.dtype, device: Any
) -> Any:
    """Return the masks of all kinds of layers.

    Args:
        windows: of each kind.
        allowed: bool [rows, queries, keys]: which keys a query may see in a layer without a window.
        distance: int64 of the same shape: how many positions a key is before the query.
        dtype, device: of the masks.
    """
    return by_kind(
        {
            name: additive(allowed if window is None else allowed & (distance < window), dtype, device)
            for name, window in windows.items()
        }
    )


def causal(windows: Windows, cached: int, width: int, dtype: torch.dtype, device: Any) -> Any:
    """Return the masks of ``width`` tokens after ``cached`` ones: each sees what is before it, in all rows alike."""
    import torch  # noqa: PLC0415

    places = torch.arange(cached + width)
    distance = (places[cached:, None] - places)[None]
    return windowed(windows, distance >= 0, distance, dtype, device)
