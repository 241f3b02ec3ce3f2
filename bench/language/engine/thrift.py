"""Leaves out work that no result depends on. Imports torch when it is called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Where decoder layers keep the part that looks at one token after the other.
_FEED_FORWARD = ("mlp", "feed_forward", "ffn")
# Activations of transformers that are written out in eight steps, each over all values; torch has them as one. The two
# differ in rounding alone, by 1e-7 in float32.
_WRITTEN_OUT = {"NewGELUActivation", "FastGELUActivation"}


def fuse_activations(model: Any) -> int:
    """Replace activations that are written out by torch's own, in a model of float32.

    In half precision the written-out form rounds after each step, so that the two differ visibly: it stays.

    Returns:
        How many were replaced.
    """
    import torch  # noqa: PLC0415
    from transformers.activations import GELUTanh  # noqa: PLC0415

    if model.dtype != torch.float32:
        return 0
    found = [
        (parent, name)
        for parent in model.modules()
        for name, child in parent.named_children()
        if type(child).__name__ in _WRITTEN_OUT and type(child).__module__ == "transformers.activations"
    ]
    for parent, name in found:
        setattr(parent, name, GELUTanh())
    return len(found)


class LastLayer:
    """The last layer of a model, whose feed-forward part need run only where something is predicted.

    What the other places would get there is read by nothing: no layer follows, and the head runs at the places kept.

    Args:
        model: of transformers.
    """

    def __init__(self, model: Any) -> None:
        self._part = _last_feed_forward(model)
        self.used = self._part is not None

    @contextmanager
    def only(self, kept: int) -> Iterator[None]:
        """Run that part at so many places at the end of each row, as long as the context is open."""
        part = self._part
        if part is None or not self.used:
            yield
            return
        whole = part.forward

        def at_the_end(hidden: Any, *more: Any, **named: Any) -> Any:
            if more or named or hidden.ndim != 3 or hidden.shape[1] <= kept:
                return whole(hidden, *more, **named)
            found = hidden.new_zeros(hidden.shape)
            found[:, -kept:] = whole(hidden[:, -kept:].contiguous())
            return found

        part.forward = at_the_end
        try:
            yield
        finally:
            del part.forward


def _last_feed_forward(model: Any) -> Any:
    from torch.nn import Module, ModuleList  # noqa: PLC0415

    layers = getattr(model.config.get_text_config(decoder=True), "num_hidden_layers", None)
    for module in model.modules():
        if isinstance(module, ModuleList) and len(module) == layers:
            for name in _FEED_FORWARD:
                part = getattr(module[-1], name, None)
                # An instance's own `forward` is somebody else's (quantisation, offloading): it is left alone.
                if isinstance(part, Module) and "forward" not in vars(part):
                    return part
    return None
