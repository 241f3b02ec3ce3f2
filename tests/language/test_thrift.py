"""Work that no result depends on is left out, and where a result would depend on it, it is not."""

from __future__ import annotations

import random

import pytest
import torch
from random_models import make, tokens

from bench.language.engine.attending import attend, only_at_the_end
from bench.language.engine.loglikelihood import Scorer
from bench.language.engine.packing import Group
from bench.language.engine.thrift import LastLayer


def question(rng: random.Random, *lengths: int) -> Group:
    context = tokens(rng, 20)
    return Group(tuple(context + tokens(rng, length) for length in lengths), (20,) * len(lengths))


def shapes_of(part) -> list[int]:
    """Return how many tokens of a row a part of a model is given from now on."""
    seen: list[int] = []
    part.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape[1]))
    return seen


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


def test_the_last_attention_runs_only_where_something_is_predicted():
    model, rng = make("llama"), random.Random(0)
    scorer = Scorer(model, 0, 4)
    first, last = (shapes_of(layer.self_attn.o_proj) for layer in model.model.layers)
    attended = []
    handles = [
        layer.self_attn.register_forward_hook(lambda module, args, out: attended.append(out[0].clone()))
        for layer in model.model.layers
    ]
    scorer.score([question(rng, 3, 4)])
    scorer.score([question(rng, 1, 1)])
    for handle in handles:
        handle.remove()
    assert (len(first), len(last)) == (2, 2)
    # What the last layer does not compute is zero, and nothing reads it.
    assert [int((out != 0).any(-1).sum()) for out in attended] == [25, 6, 20, 1]
    assert not any("forward" in vars(module) for module in model.modules())
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen2-sliding", "mistral-sliding", "gpt_neox"])
@pytest.mark.parametrize("lengths", [(3, 4), (1, 1), (6,)])
def test_scores_are_those_of_the_whole_model(name, lengths):
    model, rng = make(name), random.Random(2)
    groups = [question(rng, *lengths) for _ in range(3)]
    plain = []
    with torch.inference_mode():
        for group in groups:
            for sequence in group.sequences:
                logs = model(torch.tensor([sequence])).logits[0].log_softmax(-1)
                plain.append([float(logs[place - 1, sequence[place]]) for place in range(20, len(sequence))])
    scorer = Scorer(model, 0, 4)
    assert scorer._lean.attention.used
    assert scorer._last.used
    found = [scores.loglikelihoods for group in scorer.score(groups) for scores in group]
    for own, wanted in zip(found, plain, strict=True):
        assert own == pytest.approx(wanted, abs=1e-4)


def test_an_attention_that_is_not_causal_runs_whole():
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 4, 9, 8) for _ in range(3))
    module = torch.nn.Module()
    whole, _ = attend(module, query, key, value, None)
    both, _ = attend(module, query, key, value, None, is_causal=False)
    with only_at_the_end(module, 3):
        cut, _ = attend(module, query, key, value, None)
        uncut, _ = attend(module, query, key, value, None, is_causal=False)
    torch.testing.assert_close(cut[:, -3:], whole[:, -3:])
    assert not cut[:, :-3].any()
    torch.testing.assert_close(uncut, both, rtol=0, atol=0)
    assert not vars(module).get("_modelgate_kept")


@pytest.mark.parametrize(("of_keys", "size", "scaling"), [(8, 8, None), (2, 8, 0.3), (1, 6, None)])
@pytest.mark.parametrize("masked", ["none", "added", "true where seen", "for each head"])
def test_one_new_token_attends_as_torch_does(of_keys, size, scaling, masked):
    torch.manual_seed(0)
    rows, heads, columns = 3, 8, 17
    query = torch.randn(rows, heads, 1, 8)
    # Buffers with room, as the engine has them: what is read is a view.
    key, value = torch.randn(rows, of_keys, 30, 8), torch.randn(rows, of_keys, 30, size)
    key, value = key[:, :, 5 : 5 + columns], value[:, :, 5 : 5 + columns]
    seen = torch.ones(rows, 1, 1, columns, dtype=torch.bool)
    seen[1, ..., :6] = False
    added = torch.zeros(seen.shape).masked_fill_(~seen, torch.finfo(torch.float32).min)
    mask = {
        "none": None, "added": added, "true where seen": seen, "for each head": added.expand(-1, heads, -1, -1)
    }[masked]  # fmt: skip
    module = torch.nn.Module()
    module.num_key_value_groups = heads // of_keys
    found, _ = attend(module, query, key, value, mask, scaling=scaling, dropout=0.0)
    groups = heads // of_keys
    whole = torch.nn.functional.scaled_dot_product_attention(
        query, key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1), mask, scale=scaling
    )
    torch.testing.assert_close(found, whole.transpose(1, 2))


def test_an_attention_of_another_kind_is_left_alone():
    model = make("llama")
    model.set_attn_implementation("eager")
    scorer = Scorer(model, 0, 4)
    assert scorer.shares
    assert not scorer._lean.attention.used
    with scorer._lean.used():
        assert model.config._attn_implementation == "eager"
