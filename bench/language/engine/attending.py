"""Attention that computes what is asked for alone, while a model is asked. Imports transformers, and thereby torch.

Models of transformers look up their attention by a name in their configuration. Ours is the one that they have, torch's
``scaled_dot_product_attention``, but in the last layer it runs only for the places at the end of each row that predict
something, and for one new token in each row it is two products of matrices.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from bench.language.engine.one_token import is_added, of_one

NAME = "modelgate"
_REPLACED = "sdpa"
# While a context is open, the last layer's attention has this attribute: how many places at the end are asked for.
_KEPT = "_modelgate_kept"
# What torch's attention is given for some models, and what ours leaves to it.
_OTHERWISE = ("position_bias", "cache", "softcap")


class Attention:
    """The attention of a model on a CPU.

    Args:
        model: of transformers.

    Attributes:
        used: whether it is ours while :meth:`ours` is open.
    """

    def __init__(self, model: Any) -> None:
        found = {
            id(module.config): module.config
            for module in model.modules()
            if hasattr(getattr(module, "config", None), "_attn_implementation")
        }
        self._configs = list(found.values())
        self.used = (
            model.device.type == "cpu"
            and model.dtype == torch.float32
            and bool(self._configs)
            and all(config._attn_implementation in (_REPLACED, NAME) for config in self._configs)
        )

    @contextmanager
    def ours(self) -> Iterator[None]:
        """Let the model find this attention as long as the context is open."""
        before = [config._attn_implementation for config in self._configs]
        try:
            if self.used:
                for config in self._configs:
                    config._attn_implementation = NAME
            yield
        finally:
            for config, name in zip(self._configs, before, strict=True):
                config._attn_implementation = name


def attend(
    module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
    attention_mask: torch.Tensor | None, *arguments: Any, **named: Any,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    """Return attention, [rows, queries, heads, size], as transformers asks for it.

    Args:
        module: a layer's attention.
        query: [rows, heads, queries, size].
        key, value: [rows, heads of keys, keys, size].
        attention_mask: [rows or 1, 1, queries, keys], added to scores or true for what is seen; None is causal.
        arguments, named: of torch's attention in transformers.
    """
    plain = not arguments and all(named.get(name) is None for name in _OTHERWISE)
    kept, whole = getattr(module, _KEPT, None), query.shape[2]
    if plain and whole == 1 and not named.get("dropout") and is_added(attention_mask, key):
        return of_one(query, key, value, attention_mask, named.get("scaling")), None
    if not plain or kept is None or kept >= whole or not _can_be_cut(module, attention_mask, whole, named):
        found: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, *arguments, **named
        )
        return found
    if attention_mask is not None:
        mask: torch.Tensor | None = attention_mask[:, :, -kept:]
    elif kept == 1:
        mask = None
    else:
        keys = key.shape[2]
        mask = torch.ones((kept, keys), dtype=torch.bool, device=query.device).tril_(keys - kept)[None, None]
    attended, _ = sdpa_attention_forward(module, query[:, :, -kept:], key, value, mask, **named)
    result = attended.new_zeros((attended.shape[0], whole, *attended.shape[2:]))
    result[:, -kept:] = attended
    return result, None


def _can_be_cut(
    module: torch.nn.Module, mask: torch.Tensor | None, whole: int, named: dict[str, Any]
) -> bool:
    """Whether the queries at the end can be asked alone."""
    if mask is not None:
        return mask.ndim == 4 and mask.shape[2] == whole
    causal = named.get("is_causal")
    return bool(getattr(module, "is_causal", True) if causal is None else causal)


@contextmanager
def only_at_the_end(module: Any, kept: int) -> Iterator[None]:
    """Have a layer's attention run for so many places at the end of each row as long as the context is open."""
    setattr(module, _KEPT, kept)
    try:
        yield
    finally:
        delattr(module, _KEPT)


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
