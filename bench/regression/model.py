"""The regression model: an encoder, extra embeddings for categorical fields, a head that ends in a sigmoid.

Importing this module imports transformers; `bench.regression.builder` builds it without being imported so.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.machine.torchvision_shim import ensure_torchvision

ensure_torchvision()

import torch  # noqa: E402
from torch import nn  # noqa: E402
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel  # noqa: E402
from transformers.models.auto.modeling_auto import MODEL_MAPPING  # noqa: E402
from transformers.utils.generic import ModelOutput  # noqa: E402

POOLINGS = ("mean", "first")


class EncoderRegressorConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """Configuration of `EncoderRegressor`.

    Args:
        encoder: configuration of the encoder, with its `model_type`.
        vocabularies: for each categorical field, the index of each value, from 1; 0 is an unknown value.
        pooling: ``mean`` over the tokens of a text, or its ``first`` token.
        dropout: before the head, a fraction.
        score_low, score_high: the range that predictions from 0 to 1 stand for; of several, 0 and 1.
        ranges: several ranges, by target or group, as plain builtins; None where there is one.
        outputs: numbers that are predicted of a text.
    """

    model_type = "modelgate-encoder-regressor"
    has_no_defaults_at_init = True

    def __init__(
        self,
        encoder: dict[str, Any] | None = None,
        vocabularies: Mapping[str, Mapping[str, int]] | None = None,
        pooling: str = "mean",
        dropout: float = 0.1,
        score_low: float = 0.0,
        score_high: float = 1.0,
        ranges: Any = None,
        outputs: int = 1,
        **others: Any,
    ) -> None:
        if pooling not in POOLINGS or not 0 <= dropout < 1:
            raise ValueError(
                f"found pooling={pooling!r} and dropout={dropout}, expected one of {', '.join(POOLINGS)}, and a "
                "fraction under 1; correct the model's arguments"
            )
        self.encoder = dict(encoder or {})
        self.vocabularies = {name: dict(values) for name, values in (vocabularies or {}).items()}
        self.pooling, self.dropout = pooling, dropout
        self.score_low, self.score_high = score_low, score_high
        self.ranges, self.outputs = ranges, outputs
        super().__init__(**others)

    def encoder_config(self) -> PreTrainedConfig:
        """Return the encoder's own configuration."""
        values = dict(self.encoder)
        return AutoConfig.for_model(values.pop("model_type"), **values)


@dataclass
class RegressionOutput(ModelOutput):
    """What the model returns.

    Attributes:
        loss: mean squared error of predictions, on the scale from 0 to 1; None without labels.
        logits: predictions from 0 to 1, shape (batch,), or (batch, targets) of several. Named as the Trainer's losses and
            metrics expect.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None


class EncoderRegressor(PreTrainedModel):  # type: ignore[no-untyped-call]
    """Predicts a number from 0 to 1 for each text.

    The embedding of each categorical field's value is added to that of every token. `save_pretrained` keeps the
    values with the weights, so that a loaded model gives the same index to the same value.
    """

    config_class = EncoderRegressorConfig
    base_model_prefix = "encoder"
    main_input_name = "input_ids"
    encoder: Any  # of any architecture
    _supports_sdpa = True
    _supports_attention_backend = True

    def __init__(self, config: EncoderRegressorConfig) -> None:
        super().__init__(config)
        encoder_config = config.encoder_config()
        self.encoder = AutoModel.from_config(  # type: ignore[no-untyped-call]
            encoder_config, **_without_pooler(encoder_config)
        )
        width = self.encoder.get_input_embeddings().weight.shape[1]
        self.extra = nn.ModuleDict(
            {
                module_name(name): nn.Embedding(len(values) + 1, width)
                for name, values in config.vocabularies.items()
            }
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(encoder_config.hidden_size, config.outputs)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        extra_ids: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **others: torch.Tensor,
    ) -> RegressionOutput:
        """Predict.

        Args:
            input_ids, attention_mask: (batch, tokens).
            extra_ids: (batch, fields), indices in the order of the configuration's vocabularies.
            labels: scores from 0 to 1, (batch,), or (batch, targets).
            others: further inputs of the encoder, such as `token_type_ids`.
        """
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        inputs = (
            {"inputs_embeds": self._embed(input_ids, extra_ids)} if self.extra else {"input_ids": input_ids}
        )
        hidden = self.encoder(**inputs, attention_mask=attention_mask, **others).last_hidden_state
        pooled = hidden[:, 0] if self.config.pooling == "first" else _mean(hidden, attention_mask)
        scores = self.head(self.dropout(pooled))
        predictions = torch.sigmoid(scores.squeeze(-1) if self.config.outputs == 1 else scores)
        loss = None if labels is None else nn.functional.mse_loss(predictions, labels.to(predictions.dtype))
        return RegressionOutput(loss=loss, logits=predictions)

    def adopt(self, state: dict[str, torch.Tensor], checkpoint: Path) -> dict[str, torch.Tensor]:
        """Return a checkpoint's weights with the extra embeddings in the order of this model's values.

        A value that both know keeps what was learnt of it. One that the checkpoint does not know starts fresh.
        """
        try:
            known = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))["vocabularies"]
        except (OSError, ValueError, KeyError):
            return state
        state = dict(state)
        for name, values in self.config.vocabularies.items():
            place = f"extra.{module_name(name)}.weight"
            theirs = state.get(place)
            if theirs is None or name not in known:
                continue
            embedding: Any = self.extra[module_name(name)]
            ours = embedding.weight.detach().clone()
            if ours.shape[1] != theirs.shape[1]:
                continue  # refused with the other weights of another shape
            ours[0] = theirs[0]
            for value, index in values.items():
                if value in known[name]:
                    ours[index] = theirs[known[name][value]]
            state[place] = ours
        return state

    def _embed(self, input_ids: torch.Tensor, extra_ids: torch.Tensor | None) -> torch.Tensor:
        """Return token embeddings with those of the categorical fields added, (batch, tokens, width)."""
        if extra_ids is None:
            raise ValueError(
                f"found no extra_ids, expected (batch, {len(self.extra)}): {', '.join(self.extra)}; give the index of "
                "each field's value"
            )
        embed: Any = self.encoder.get_input_embeddings()
        embedded: torch.Tensor = embed(input_ids)
        for place, embedding in enumerate(self.extra.children()):
            embedded = embedded + embedding(extra_ids[:, place])[:, None, :]
        return embedded


def module_name(field: str) -> str:
    """Return the name under which a field's embedding is kept: the field's own, where a module can have it.

    Names such as ``type`` and ``keys`` are methods of a module, and ``a.b`` would be a module inside of another. They get a
    prefix that no plain name has, and what is no letter is written by its number.
    """
    if field.isidentifier() and not hasattr(nn.ModuleDict(), field):
        return field
    return "field-" + "".join(
        sign if sign.isalnum() or sign in "_-" else f"%{ord(sign):x}%" for sign in field
    )


def build_regressor(
    path: str, *, pretrained: bool, vocabularies: Mapping[str, Mapping[str, int]], **of_config: Any
) -> EncoderRegressor:
    """Return a new model around an encoder.

    Args:
        path: directory or hub name of the encoder.
        pretrained: whether it keeps its weights; else only its configuration is read.
        vocabularies: see `EncoderRegressorConfig`, as for `of_config`.

    Raises:
        OSError: no such encoder.
        ValueError: weights that lack some of the encoder's.
    """
    encoder_config = AutoConfig.from_pretrained(path)
    encoder_config.dtype = None  # weights may be stored in half precision, which trains badly
    described = encoder_config.to_dict() | {"model_type": encoder_config.model_type}
    model = EncoderRegressor(
        EncoderRegressorConfig(encoder=described, vocabularies=vocabularies, **of_config)
    )
    model.float()  # type: ignore[no-untyped-call]
    if not pretrained:
        return model
    encoder, info = AutoModel.from_pretrained(
        path, dtype=torch.float32, output_loading_info=True, **_without_pooler(encoder_config)
    )
    missing = sorted(info["missing_keys"])
    if missing:
        raise ValueError(
            f"found no weights in {path} for {', '.join(missing[:3])}, expected all {len(encoder.state_dict())} of "
            f"{type(encoder).__name__}; give another encoder, or train from scratch with pretrained=false"
        )
    model.encoder.load_state_dict(encoder.state_dict())
    return model


def _without_pooler(config: PreTrainedConfig) -> dict[str, bool]:
    """Return what keeps an encoder from having a pooler, which the head replaces, where its class can do without."""
    encoder_class: Any = MODEL_MAPPING[type(config)]
    has_option = "add_pooling_layer" in inspect.signature(encoder_class).parameters
    return {"add_pooling_layer": False} if has_option else {}


def _mean(hidden: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """Return the mean over the tokens of each text, (batch, width)."""
    weights = attention_mask[:, :, None].to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)
