"""Reads prompts into keys and values: a shared beginning once, and what follows it in rows of unequal length.

Imports transformers, and thereby torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import torch
from transformers import DynamicCache

from bench.language.engine.caching import Prefix
from bench.language.engine.facts import ModelFacts
from bench.language.engine.masks import FULL, causal
from bench.language.engine.packing import Tokens
from bench.language.engine.slots import KeysAndValues
from bench.language.engine.thrift import LastLayer


@dataclass(frozen=True, slots=True)
class ReadPrompts:
    """Prompts that were read together.

    Attributes:
        numbers: which of the prompts these are.
        logits: after the last token of each, [prompts, vocabulary].
        layers: keys and values of each layer, from the prompt's first token on.
    """

    numbers: list[int]
    logits: torch.Tensor
    layers: KeysAndValues


def read_prefix(model: Any, facts: ModelFacts, tokens: Tokens) -> Prefix:
    """Read the beginning of several prompts."""
    places = torch.arange(len(tokens), device=model.device)[None]
    arguments: dict[str, Any] = {"logits_to_keep": 1} if facts.keeps else {}
    return Prefix(
        model, tokens, position_ids=places,
        attention_mask=causal(facts.windows, 0, len(tokens), model.dtype, model.device), **arguments,
    )  # fmt: skip


def read_prompts(
    model: Any,
    facts: ModelFacts,
    last: LastLayer,
    pad: int,
    prompts: Sequence[Tokens],
    prefix: Prefix | None = None,
) -> Iterator[ReadPrompts]:
    """Read prompts in parts of similar length that fit into memory, the longest ones first.

    Rows are padded at their ends, where padding has no effect, and what it leaves is beyond the prompt's own tokens.

    Args:
        model: of transformers.
        facts: of the model.
        last: its last layer.
        pad: a token id.
        prompts: that all begin with the prefix and are longer.
        prefix: that was read before.
    """
    skip = 0 if prefix is None else prefix.length
    order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]), reverse=True)
    at = 0
    while at < len(order):
        width, left = len(prompts[order[at]]) - skip, len(order) - at
        # Prompts of one part differ little in length, so that logits are kept for a few places each.
        most = facts.rows_at_once(width, 1 if facts.keeps else width)
        rows = ceil(left / ceil(left / max(1, most)))
        chosen = order[at : at + rows]
        yield _read_rows(model, facts, last, pad, chosen, [prompts[number] for number in chosen], prefix)
        at += rows


def _read_rows(
    model: Any, facts: ModelFacts, last: LastLayer, pad: int, numbers: list[int], prompts: list[Tokens],
    prefix: Prefix | None,
) -> ReadPrompts:  # fmt: skip
    skip = 0 if prefix is None else prefix.length
    own = [len(prompt) - skip for prompt in prompts]
    width = max(own)
    ids = torch.tensor([[*prompt[skip:], *[pad] * (width + skip - len(prompt))] for prompt in prompts])
    device = model.device
    cache = DynamicCache() if prefix is None else prefix.expand(len(prompts))
    arguments: dict[str, Any] = {}
    if prefix is not None or set(facts.windows) != {FULL}:
        # One mask for all rows: what is behind a row's end is not seen from before it.
        arguments["attention_mask"] = causal(facts.windows, skip, width, model.dtype, device)
    kept = width - min(own) + 1
    if facts.keeps:
        arguments["logits_to_keep"] = kept
    with last.only(kept):
        found = model(
            input_ids=ids.to(device),
            position_ids=torch.arange(skip, skip + width, device=device)[None],
            past_key_values=cache, use_cache=True, **arguments,
        ).logits  # fmt: skip
    ends = torch.tensor([length - 1 - width for length in own], device=found.device)
    logits = found[torch.arange(len(own), device=found.device), ends]
    layers: list[Any] = list(cache.layers)
    return ReadPrompts(numbers, logits, [(layer.keys, layer.values) for layer in layers])
