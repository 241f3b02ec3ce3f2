"""Models with extra arguments of their own, and with faults."""

from __future__ import annotations

from dataclasses import dataclass

from bench.regression.registry import register_model

from .encoder import TINY_ENCODER


@register_model("constant")
@dataclass(frozen=True)
class Constant:
    """Predicts one number whatever the text; `broken` makes its loss NaN, `predicted` is what it predicts once trained."""

    predicted: float = 0.2
    broken: bool = False

    origin = "scratch"

    def tokenizer(self):
        """Return a tokenizer."""
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(TINY_ENCODER)

    def build(self, vocabularies, scores):
        """Return the model."""
        import torch
        from transformers import PreTrainedConfig, PreTrainedModel

        broken, predicted = self.broken, self.predicted

        class ConstantModel(PreTrainedModel):
            config_class = PreTrainedConfig
            main_input_name = "input_ids"

            def __init__(self, config):
                super().__init__(config)
                self.unused = torch.nn.Parameter(torch.zeros(1))
                self.post_init()

            def forward(self, input_ids, labels=None, **others):
                value = 0.5 if self.training else predicted
                logits = torch.full(input_ids.shape[:1], value) + 0 * self.unused
                loss = ((logits - labels) ** 2).mean()
                return {"loss": loss * torch.nan if broken else loss, "logits": logits}

        return ConstantModel(PreTrainedConfig())
