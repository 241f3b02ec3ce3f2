"""The model `encoder`: any encoder with a sigmoid head. Importing this module imports no framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench.regression.registry import register_model
from bench.regression.scale import Scale, ScoreRange, Scores

if TYPE_CHECKING:
    from bench.regression.model import EncoderRegressor


@register_model("encoder")
@dataclass(frozen=True)
class EncoderBuilder:
    """An encoder, extra embeddings for the dataset's fields, dropout and a head that ends in a sigmoid.

    Attributes:
        encoder: directory or hub name of an encoder with its tokenizer.
        pretrained: whether the encoder keeps its weights; else its configuration gets new random ones.
        pooling: ``mean`` over a text's tokens, or its ``first`` token.
        dropout: before the head, a fraction.
    """

    encoder: str
    pretrained: bool = True
    pooling: Literal["mean", "first"] = "mean"
    dropout: float = 0.1

    def __post_init__(self) -> None:
        """Refuse a folder that does not exist, which would be looked for on a hub."""
        path = Path(self.encoder)
        if path.is_absolute() and not path.is_dir():
            raise ValueError(
                f"encoder={self.encoder}: no such folder; expected one with an encoder and its tokenizer; correct the path"
            )

    @property
    def origin(self) -> str:
        """Where the first weights come from."""
        return f"pretrained {Path(self.encoder).name}" if self.pretrained else "scratch"

    def tokenizer(self) -> Any:
        """Return the encoder's tokenizer."""
        from transformers import AutoTokenizer  # noqa: PLC0415

        return AutoTokenizer.from_pretrained(self.encoder)

    def build(self, vocabularies: Mapping[str, Mapping[str, int]], scores: Scores) -> EncoderRegressor:
        """Return a new model; see `bench.regression.model`."""
        from bench.regression.model import build_regressor  # noqa: PLC0415

        is_plain = isinstance(scores, ScoreRange)
        scale = Scale.of(scores)
        return build_regressor(
            self.encoder, pretrained=self.pretrained, vocabularies=vocabularies, pooling=self.pooling,
            dropout=self.dropout, score_low=scores.low if isinstance(scores, ScoreRange) else 0.0,
            score_high=scores.high if isinstance(scores, ScoreRange) else 1.0,
            ranges=None if is_plain else scale.to_plain(), outputs=len(scale.names),
        )  # fmt: skip
