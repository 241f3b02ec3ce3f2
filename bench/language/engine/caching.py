"""Caches of keys and values: of the beginning that all texts share, and of text while it is generated.

Imports transformers, and thereby torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

# Tokens of room that a growing buffer gets: the buffer is copied once in so many steps.
ROOM = 64
# Options of ``generate`` that bring their own cache, or need none.
_DECIDES_ON_CACHE = {
    "assistant_model",
    "cache_implementation",
    "past_key_values",
    "prompt_lookup_num_tokens",
    "use_cache",
}


class Prefix:
    """Keys and values of the beginning that all texts share.

    Args:
        model: a causal language model of transformers.
        tokens: the token ids.
        arguments: further ones of the model's ``forward``.

    Attributes:
        length: in tokens.
    """

    def __init__(self, model: Any, tokens: Sequence[int], **arguments: Any) -> None:
        self.length = len(tokens)
        # Without a config, no layer drops what is outside its window; the mask hides it.
        cache = DynamicCache()
        with torch.inference_mode():
            model(
                input_ids=torch.tensor([list(tokens)], device=model.device),
                past_key_values=cache, use_cache=True, **arguments,
            )  # fmt: skip
        layers: list[Any] = list(cache.layers)
        # Each [1, heads, tokens, size]; the two may differ in size.
        self._layers = [(layer.keys, layer.values) for layer in layers]

    def expand(self, rows: int) -> DynamicCache:
        """Return a new cache with so many rows; the model appends to it."""
        cache = DynamicCache()
        for number, (keys, values) in enumerate(self._layers):
            cache.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), number)
        return cache

    def fill(self, cache: DynamicCache, padded: Sequence[int]) -> None:
        """Put the prefix into an empty cache, after the padding at the beginning of each row.

        A row that is padded by n tokens gets the prefix without its last n tokens, so that all rows have the prefix's
        length. The tokens left out have to be fed again, in the place of padding.

        Args:
            cache: with one row for each number.
            padded: tokens of padding at the beginning of each row.
        """
        for number, layer in enumerate(self._layers):
            shifted = [part.new_zeros((len(padded), *part.shape[1:])) for part in layer]
            for row, skipped in enumerate(padded):
                kept = self.length - skipped
                for into, part in zip(shifted, layer, strict=True):
                    into[row, :, skipped:] = part[0, :, : max(kept, 0)]
            cache.update(shifted[0], shifted[1], number)


class InPlaceLayer(DynamicLayer):  # type: ignore[no-untyped-call]  # transformers has a partly typed hook
    """A layer's keys and values in a buffer with room after them, [2, rows, heads, tokens + room, size].

    The layer of transformers copies everything it holds for each new token. For a small model on a CPU, that copying
    takes most of the time of generating.
    """

    _buffer: torch.Tensor | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append keys and values, each [rows, heads, tokens, size]; returns all of them, as views of the buffer."""
        if key_states.shape != value_states.shape:  # attention with its own latent space
            keys, values = super().update(key_states, value_states, *args, **kwargs)
            return keys, values
        begin = self.get_seq_length()
        end = begin + key_states.shape[-2]
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        buffer = self._buffer
        # Beam search, cropping and the like replace the views by their own tensors.
        if buffer is None or end > buffer.shape[-2] or not _is_view(self.keys, buffer):
            buffer = key_states.new_empty((2, *key_states.shape[:-2], end + ROOM, key_states.shape[-1]))
            if begin and self.keys is not None and self.values is not None:
                buffer[0, ..., :begin, :], buffer[1, ..., :begin, :] = self.keys, self.values
            self._buffer = buffer
        buffer[0, ..., begin:end, :], buffer[1, ..., begin:end, :] = key_states, value_states
        self.keys, self.values = buffer[0, ..., :end, :], buffer[1, ..., :end, :]
        return self.keys, self.values


def make_cache(model: Any, options: Mapping[str, Any]) -> DynamicCache | None:
    """Return a cache for one call of ``generate``; None if the model or the options ask for another kind.

    Args:
        model: a causal language model of transformers, or the adapter around one.
        options: of the call.
    """
    if _DECIDES_ON_CACHE & options.keys() or options.get("num_beams", 1) != 1:
        return None
    generation, config = model.generation_config, model.config.get_text_config(decoder=True)
    if generation.cache_implementation is not None or generation.use_cache is False:
        return None
    if getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False):
        return None  # the adapter's own keys and values are the first in the cache
    supported = getattr(model, "_supports_default_dynamic_cache", lambda: False)()
    if not supported or "mamba" in config.model_type:  # mamba keeps its states under another name
        return None
    cache = DynamicCache(config=config)
    # Layers with sliding windows or recurrent states stay as they are.
    make: Callable[[], InPlaceLayer] = InPlaceLayer
    cache.layers = [make() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def takes_prefix(cache: DynamicCache | None) -> bool:
    """Whether all layers of a cache keep all tokens, so that a prefix fits in."""
    return cache is not None and all(type(layer) is InPlaceLayer for layer in cache.layers)


def _is_view(keys: torch.Tensor | None, buffer: torch.Tensor) -> bool:
    if keys is None:
        return False
    return keys.data_ptr() == buffer.data_ptr() and keys.shape[:2] == buffer.shape[1:3]
