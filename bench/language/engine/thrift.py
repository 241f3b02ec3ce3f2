"""Leaves out work that no result depends on. Imports torch when it is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

# Where decoder layers keep the part that looks at one token after the other.
_FEED_FORWARD = ("mlp", "feed_forward", "ffn")
# Where they keep attention, and where that has the linear layer behind it.
_ATTENTION = ("self_attn", "attn", "attention", "self_attention")
_OUTPUT = ("o_proj", "c_proj", "out_proj", "dense")


class LastLayer:
    """The last layer of a model, of which little need run where nothing is predicted.

    What its feed-forward part and its attention would give there is read by nothing: no layer follows, and the head runs
    at the places kept. Keys and values are computed at all places. Attention is cut where it is ours, see
    :mod:`bench.language.engine.attending`.

    Args:
        model: of transformers.
    """

    def __init__(self, model: Any) -> None:
        layer = _last_layer(model)
        self._part = _child(layer, _FEED_FORWARD)
        self._attention = _child(layer, _ATTENTION)
        self._output = _child(self._attention, _OUTPUT)
        self.used = self._part is not None

    @contextmanager
    def only(self, kept: int) -> Iterator[None]:
        """Run it at so many places at the end of each row, as long as the context is open."""
        if self._part is None or not self.used:
            yield
            return
        parts = [self._part]
        with ExitStack() as stack:
            # Behind an attention that is whole, its output is read at the end alone just as well.
            if self._attention is not None and self._output is not None:
                from bench.language.engine.attending import only_at_the_end  # noqa: PLC0415  imports torch

                stack.enter_context(only_at_the_end(self._attention, kept))
                parts.append(self._output)
            for part in parts:
                _put_forward(stack, part, _at_the_end(part.forward, kept))
            yield


def _put_forward(stack: ExitStack, part: Any, forward: Callable[..., Any]) -> None:
    """Put a ``forward`` on a module until the stack is left, and then what was there, which may be one of ours."""
    if "forward" in vars(part):
        stack.callback(setattr, part, "forward", part.forward)
    else:
        stack.callback(delattr, part, "forward")
    part.forward = forward


def _at_the_end(whole: Callable[..., Any], kept: int) -> Callable[..., Any]:
    def run(hidden: Any, *more: Any, **named: Any) -> Any:
        if more or named or hidden.ndim != 3 or hidden.shape[1] <= kept:
            return whole(hidden, *more, **named)
        end = whole(hidden[:, -kept:].contiguous())
        found = end.new_zeros((*hidden.shape[:2], end.shape[-1]))
        found[:, -kept:] = end
        return found

    return run


def _last_layer(model: Any) -> Any:
    from torch.nn import ModuleList  # noqa: PLC0415

    layers = getattr(model.config.get_text_config(decoder=True), "num_hidden_layers", None)
    for module in model.modules():
        if (
            isinstance(module, ModuleList)
            and len(module) == layers
            and _child(module[-1], _FEED_FORWARD) is not None
        ):
            return module[-1]
    return None


def _child(module: Any, names: Sequence[str]) -> Any:
    """Return a module's part that has one of these names; None if it has none."""
    from torch.nn import Module  # noqa: PLC0415

    for name in names:
        part = getattr(module, name, None)
        # An instance's own `forward` is somebody else's (quantisation, offloading): it is left alone.
        if isinstance(part, Module) and "forward" not in vars(part):
            return part
    return None
