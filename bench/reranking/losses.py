"""Losses of scored candidate lists. Needs torch.

Each takes scores and relevances of shape (queries, candidates) and a boolean mask, True for a candidate. It returns a
scalar: the mean over the queries, or pairs, that have a loss. Padding does not count.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from bench.core.registry import Registry

RerankLoss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
LOSSES: Registry[RerankLoss] = Registry("reranking loss")


@LOSSES.register("pointwise")
def pointwise(scores: torch.Tensor, relevances: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the binary cross-entropy of each candidate: is it relevant?"""
    each = functional.binary_cross_entropy_with_logits(scores, (relevances > 0).float(), reduction="none")
    return _mean(each, mask)


@LOSSES.register("pairwise")
def pairwise(scores: torch.Tensor, relevances: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the logistic loss of each pair of which one is more relevant. Source: Burges et al. 2005, ICML."""
    above = relevances[:, :, None] > relevances[:, None, :]
    counted = above & mask[:, :, None] & mask[:, None, :]
    return _mean(functional.softplus(scores[:, None, :] - scores[:, :, None]), counted)


@LOSSES.register("listwise")
def listwise(scores: torch.Tensor, relevances: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of the list's softmax with its relevances. Source: Cao et al. 2007, ICML."""
    lowest = torch.finfo(scores.dtype).min
    logs = scores.masked_fill(~mask, lowest).log_softmax(dim=1)
    weights = relevances.clamp(min=0) * mask
    total = weights.sum(dim=1)
    each = -(weights * logs.masked_fill(~mask, 0)).sum(dim=1) / total.clamp(min=1e-12)
    return _mean(each, total > 0)


def _mean(values: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """Return the mean of the entries that count; without any it is 0 and still has a gradient."""
    return (values * counted).sum() / counted.sum().clamp(min=1)
