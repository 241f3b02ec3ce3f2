"""What the engine knows of a model before it asks it anything. Imports no framework."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from bench.language.engine.masks import OWN_LOCAL_ATTENTION, Windows, attention_windows

# Most logits in memory, in values: 2**26 in float32 are 256 MiB.
MAX_LOGITS = 2**26
# On a CPU, so many values of a layer stay in a core's own cache. A small model is then 1.5 times as fast as when four
# processes compete for memory. With fewer tokens than the least, a large model would read its weights too often. Half as
# many values took 6 to 9 % longer, twice as many as long.
CACHED_VALUES = 2**18
LEAST_TOKENS = 512


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A causal language model of transformers, or the adapter around one.

    Attributes:
        windows: of its kinds of layers, in tokens; empty if a kind is neither full nor sliding.
        named: the arguments of its ``forward``.
        vocabulary: how many logits a token has.
        hidden: values of a token between two layers.
        on_cpu: whether it runs there.
    """

    windows: Windows
    named: frozenset[str]
    vocabulary: int
    hidden: int
    on_cpu: bool

    @classmethod
    def of(cls, model: Any) -> ModelFacts:
        """Return what is known of a model."""
        config = model.config.get_text_config(decoder=True)
        # An adapter passes on what it is given, unless it puts tokens of its own before the text.
        adapter = getattr(model, "active_peft_config", None)
        own = config.model_type in OWN_LOCAL_ATTENTION or getattr(adapter, "is_prompt_learning", False)
        inner = getattr(model, "get_base_model", lambda: model)()
        named = inspect.signature(inner.forward).parameters.keys()
        return cls(
            windows={} if own else attention_windows(config) or {},
            named=frozenset(named),
            vocabulary=config.vocab_size,
            hidden=model.get_input_embeddings().weight.shape[-1],
            on_cpu=model.device.type == "cpu",
        )

    @property
    def keeps(self) -> bool:
        """Whether logits are computed only where they are asked for."""
        return "logits_to_keep" in self.named

    @property
    def takes_layout(self) -> bool:
        """Whether the model can be told which token stands where, and which it sees."""
        return bool(self.windows) and {"position_ids", "attention_mask"} <= self.named

    def rows_at_once(self, width: int, scored: int) -> int:
        """Return how many rows may be run together, 0 for less than one.

        Args:
            width: tokens of a row.
            scored: places of a row whose logits are computed.
        """
        most = MAX_LOGITS // (scored * self.vocabulary)
        if self.on_cpu:
            most = min(most, max(LEAST_TOKENS, CACHED_VALUES // self.hidden) // width)
        return most
