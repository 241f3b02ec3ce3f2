"""From encoded rows to a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from bench.regression.dataset import Encoded

# Inputs that the tokenizer does not know, with their types.
_OTHERS = {"extra_ids": torch.long, "labels": torch.float32}


class PaddingCollator:
    """Pads token ids to the longest of a batch, and stacks the other inputs.

    A batch has `input_ids` and `attention_mask`, (batch, tokens), `extra_ids`, (batch, fields), and `labels`,
    (batch,), scores from 0 to 1.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer

    def __call__(self, rows: list[Encoded]) -> dict[str, torch.Tensor]:
        """Return a batch of rows, which are left as they are."""
        texts = [{name: value for name, value in row.items() if name not in _OTHERS} for row in rows]
        batch = dict(self._tokenizer.pad(texts, return_tensors="pt"))
        for name, dtype in _OTHERS.items():
            if name in rows[0]:
                batch[name] = torch.tensor([row[name] for row in rows], dtype=dtype)
        return batch
