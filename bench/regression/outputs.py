"""What a model's `forward` returned: its loss and its predictions, whatever their form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from bench.core.errors import TuningProblem

EXPECTED = "`loss` and `logits` by name, or a tuple (loss, logits)"


def loss_of(output: Any) -> torch.Tensor:
    """Return the loss, a tensor of one number.

    Raises:
        TuningProblem: ``training_failed``: there is none.
    """
    loss: Any = None
    if isinstance(output, Mapping):
        loss = output.get("loss")
    elif isinstance(output, tuple | list):
        loss = output[0] if output else None
    else:
        loss = getattr(output, "loss", None)
    if not (torch.is_tensor(loss) and loss.numel() == 1):
        raise TuningProblem(
            "training_failed",
            f"found no loss in what forward returned ({described(output)}), expected {EXPECTED}; return the loss "
            "where a batch "
            "has labels",
        )
    return loss


def logits_of(output: Any) -> torch.Tensor:
    """Return the predictions, a tensor of shape (batch,) or (batch, targets).

    Raises:
        TuningProblem: ``inference_failed``: there are none, or they are nested.
    """
    logits: Any = None
    if isinstance(output, Mapping):
        logits = output.get("logits")
    elif isinstance(output, tuple | list):
        first_is_loss = len(output) > 1 and torch.is_tensor(output[0]) and output[0].ndim == 0
        logits = (
            output[1]
            if first_is_loss or (len(output) > 1 and output[0] is None)
            else output[0]
            if output
            else None
        )
    elif torch.is_tensor(output):
        logits = output
    else:
        logits = getattr(output, "logits", None)
    if isinstance(logits, tuple | list | Mapping):
        raise TuningProblem(
            "inference_failed",
            f"found logits that are nested ({described(logits)}), expected one tensor of shape (batch,) or (batch, "
            "targets); "
            "return the predictions alone as `logits`, and anything else under other names",
        )
    if not (torch.is_tensor(logits) and logits.ndim > 0):
        raise TuningProblem(
            "inference_failed",
            f"found no logits in what forward returned ({described(output)}), expected {EXPECTED}; return "
            "predictions from 0 to "
            "1 as `logits`",
        )
    return logits


def described(output: Any) -> str:
    """Return what something is, in a few words."""
    if isinstance(output, Mapping):
        return f"a dictionary with {', '.join(map(str, output)) or 'nothing'}"
    if isinstance(output, tuple | list):
        return f"a {type(output).__name__} of {len(output)}"
    if torch.is_tensor(output):
        return f"a tensor of shape {tuple(output.shape)}"
    return type(output).__name__
