"""Work that no result depends on is left out, and where a result would depend on it, it is not."""

from __future__ import annotations

import random

import pytest
import torch
from random_models import make, tokens

from bench.language.engine.loglikelihood import Scorer
from bench.language.engine.packing import Group
from bench.language.engine.thrift import LastLayer, fuse_activations


def question(rng: random.Random, *lengths: int) -> Group:
    context = tokens(rng, 20)
    return Group(tuple(context + tokens(rng, length) for length in lengths), (20,) * len(lengths))


def shapes_of(part) -> list[int]:
    """Return how many tokens of a row a part of a model is given from now on."""
    seen: list[int] = []
    part.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape[1]))
    return seen


def test_an_activation_that_is_written_out_becomes_the_one_of_torch_in_float32_alone():
    model, text = make("gpt2"), torch.tensor([list(range(3, 30))])
    before = model(text).logits
    assert fuse_activations(model) == 2
    torch.testing.assert_close(model(text).logits, before, atol=1e-4, rtol=0)
    assert not torch.equal(model(text).logits, before)
    assert fuse_activations(model) == 0
    half = make("gpt2").to(torch.bfloat16)
    assert fuse_activations(half) == 0
    assert fuse_activations(make("llama")) == 0


def test_the_last_layer_feeds_forward_only_what_is_predicted():
    model, rng = make("llama"), random.Random(0)
    scorer = Scorer(model, 0, 4)
    first, last = (shapes_of(layer.mlp.gate_proj) for layer in model.model.layers)
    choices, single = question(rng, 3, 4), question(rng, 1, 1)
    scorer.score([choices])
    scorer.score([single])
    assert first == [25, 20]
    assert last == [6, 1]
    assert "forward" not in vars(model.model.layers[-1].mlp)


@pytest.mark.parametrize("lengths", [(3, 4), (1, 1)])
def test_a_last_layer_that_looks_at_the_token_before_runs_whole(lengths):
    model = make("llama")
    part = model.model.layers[-1].mlp

    class Shifted(torch.nn.Module):
        def forward(self, hidden):
            return part(hidden + torch.nn.functional.pad(hidden, (0, 0, 1, -1)))

    rng = random.Random(1)
    group = question(rng, *lengths)
    model.model.layers[-1].mlp = Shifted()
    scorer = Scorer(model, 0, 4)
    assert not scorer.shares  # a packed row has another token before the second choice
    with torch.inference_mode():
        for sequence, found in zip(group.sequences, scorer.score([group])[0], strict=True):
            logs = model(torch.tensor([sequence])).logits[0].log_softmax(-1)
            wanted = [float(logs[place - 1, sequence[place]]) for place in range(20, len(sequence))]
            assert found.loglikelihoods == pytest.approx(wanted, abs=1e-4)


def test_a_part_with_a_forward_of_its_own_is_left_alone():
    model = make("llama")
    model.model.layers[-1].mlp.forward = model.model.layers[-1].mlp.forward
    assert not LastLayer(model).used
    assert not LastLayer(make("opt")).used
