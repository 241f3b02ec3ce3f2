"""A cross-encoder: it reads a query and a candidate together and scores the pair. Needs torch and transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.core.errors import TuningProblem
from bench.machine.torchvision_shim import ensure_torchvision
from bench.reranking.batches import encode_pairs, length_limit
from bench.reranking.losses import LOSSES

_BATCH_PAIRS = 64


class CrossEncoder(torch.nn.Module):
    """Scores of shape (queries, candidates) from a model that gives a pair one number.

    Args:
        encoder: a sequence classifier of transformers with one label.
        loss: name in `bench.reranking.losses.LOSSES`.
    """

    def __init__(self, encoder: torch.nn.Module, loss: str = "listwise") -> None:
        super().__init__()
        labels = encoder.config.num_labels  # type: ignore[union-attr]  # transformers' models have one
        if labels != 1:
            raise TuningProblem(
                "model_failed",
                f"found a classifier of {labels} labels, expected one, which is the score; give num_labels=1",
            )
        self.encoder, self._loss = encoder, LOSSES[loss]

    @property
    def config(self) -> Any:
        """The encoder's, where the Trainer looks for it."""
        return self.encoder.config

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        candidate_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        row_id: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return ``logits``, the scores, and with `labels` the ``loss``; shapes are those of `RerankCollator`.

        Padding is not computed; its score is 0 and means nothing. `row_id` is passed for the Trainer and not used.
        """
        inside = candidate_mask == 1
        inputs = {"input_ids": input_ids[inside], "attention_mask": attention_mask[inside]}
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids[inside]
        scores = torch.zeros(inside.shape, device=input_ids.device)
        if inside.any():
            scores = scores.masked_scatter(inside, self.encoder(**inputs).logits.float().flatten())
        if labels is None:
            return {"logits": scores}
        return {"loss": self._loss(scores, labels, inside), "logits": scores}


class TextRanker:
    """A cross-encoder with its tokenizer, loaded for scoring.

    Args:
        directory: as `save_pretrained` left it: a sequence classifier of one label, and a tokenizer.
        max_length: tokens of a pair at most; the longer part is cut.

    Raises:
        TuningProblem: ``model_failed``: no such model, or one that cannot be loaded.
    """

    def __init__(self, directory: Path, max_length: int | None = None) -> None:
        ensure_torchvision()
        from transformers import AutoModelForSequenceClassification, AutoTokenizer  # noqa: PLC0415

        if not (directory / "config.json").is_file():
            raise TuningProblem(
                "model_failed",
                f"found no config.json in {directory}, expected a sequence classifier with its tokenizer; save one "
                "there with save_pretrained",
            )
        try:
            encoder = AutoModelForSequenceClassification.from_pretrained(directory, dtype=torch.float32)
            self._tokenizer = AutoTokenizer.from_pretrained(directory)
        except Exception as error:  # transformers raises what its parts raise
            raise TuningProblem(
                "model_failed",
                f"{directory} could not be loaded ({type(error).__name__}: {error}), expected a sequence classifier "
                "with its tokenizer; save one there with save_pretrained",
            ) from error
        self._model = CrossEncoder(encoder).eval()
        self._max_length = length_limit(self._tokenizer, max_length)

    def scores(self, queries: Sequence[str], candidates: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Return the scores of each query's candidates, float32, in their order."""
        encoded = [
            encode_pairs(self._tokenizer, query, texts, self._max_length)
            for query, texts in zip(queries, candidates, strict=True)
        ]
        pairs = [
            {name: lists[place] for name, lists in one.items()}
            for one in encoded
            for place in range(len(one["input_ids"]))
        ]
        scores = np.empty(len(pairs), np.float32)
        by_length = sorted(range(len(pairs)), key=lambda place: len(pairs[place]["input_ids"]))
        with torch.inference_mode():
            for start in range(0, len(pairs), _BATCH_PAIRS):
                places = by_length[start : start + _BATCH_PAIRS]
                batch = self._tokenizer.pad([pairs[place] for place in places], return_tensors="pt")
                scores[places] = self._model.encoder(**batch).logits.flatten().numpy()
        return np.split(scores, np.cumsum([len(one["input_ids"]) for one in encoded])[:-1])
