"""A model that does less for the same results, while it is asked: before and after, it is as it was loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.language.engine.fusing import fused_activations
from bench.language.engine.thrift import LastLayer


class Lean:
    """What is left out and put together in a model of transformers.

    Args:
        model: a causal language model.

    Attributes:
        last: its last layer.
        attention: its attention.
    """

    def __init__(self, model: Any) -> None:
        from bench.language.engine.attending import Attention  # noqa: PLC0415  imports torch

        self._fused = fused_activations(model)
        self.attention, self.last = Attention(model), LastLayer(model)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Leave out what can be, as long as the context is open."""
        with self._fused.used(), self.attention.ours():
            yield

    def less_and_less(self) -> Iterator[None]:
        """Begin with all there is, and give up a part before each further turn: for a model that does not agree."""
        yield
        for part in (self.attention, self.last):
            if part.used:
                part.used = False
                yield
