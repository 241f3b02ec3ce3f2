"""Activations that are computed with the linear layer before them, and models that are as they were afterwards."""

from __future__ import annotations

import random

import pytest
import torch
from random_models import make, tokens
from transformers.activations import FastGELUActivation
from transformers.pytorch_utils import Conv1D

from bench.language.engine.continuous import make_writer
from bench.language.engine.fusing import FusedActivations, fused_activations
from bench.language.engine.loglikelihood import Scorer
from bench.language.engine.packing import Group

TEXT = torch.tensor([list(range(3, 90))])
NO_KERNEL = not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise"))


def logs(model) -> torch.Tensor:
    with torch.inference_mode():
        return model(input_ids=TEXT, use_cache=False).logits.log_softmax(-1)


def with_activation(name: str, activation: type[torch.nn.Module] | None):
    """Return a model whose activations are of a class; None leaves its own."""
    model = make(name)
    for module in list(model.modules()):
        for field in ("act", "act_fn", "activation_fn"):
            if activation is not None and field in module._modules:
                setattr(module, field, activation())
    return model


@pytest.mark.skipif(NO_KERNEL, reason="torch is built without oneDNN")
@pytest.mark.parametrize(
    ("name", "activation"),
    [
        ("gpt2", None),
        ("gpt2", torch.nn.GELU),
        ("opt", None),
        ("llama", None),
        ("gpt_neox", FastGELUActivation),
    ],
)
def test_a_model_predicts_the_same_and_is_as_it_was_afterwards(name, activation):
    model = with_activation(name, activation)
    before, weights = logs(model), {key: value.clone() for key, value in model.state_dict().items()}
    modules = [(key, type(module)) for key, module in model.named_modules()]
    fused = FusedActivations(model)
    linear, act = fused._replaced[0][0], fused._replaced[1][0]
    given = torch.randn(2, 40, linear.weight.shape[0 if name == "gpt2" else 1])
    wanted = act(linear(given))
    # The activation of each of two layers, and all linear layers.
    changed = 2 + sum(isinstance(module, torch.nn.Linear | Conv1D) for module in model.modules())
    with fused.used():
        assert sum("forward" in vars(module) for module in model.modules()) == changed
        with torch.inference_mode():
            torch.testing.assert_close(linear(given), wanted, atol=1e-5, rtol=1e-5)
        with fused.used():  # opened again by what runs inside
            pass
        assert sum("forward" in vars(module) for module in model.modules()) == changed
        torch.testing.assert_close(logs(model), before, atol=1e-5, rtol=1e-5)
    assert not any("forward" in vars(module) or module._forward_hooks for module in model.modules())
    assert [(key, type(module)) for key, module in model.named_modules()] == modules
    torch.testing.assert_close(logs(model), before, atol=0, rtol=0)
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())


def test_what_scores_and_what_writes_with_a_model_share_its_activations():
    model = make("gpt2")
    scorer, writer = Scorer(model, 0, 4), make_writer(model, 0)
    assert writer is not None
    assert scorer._lean._fused is writer.lean._fused is fused_activations(model)
    assert fused_activations(make("gpt2")) is not fused_activations(model)


def test_nothing_is_replaced_in_half_precision():
    assert len(FusedActivations(make("gpt2").to(torch.bfloat16))) == 0


def test_an_activation_that_somebody_listens_to_is_left_alone():
    model = make("gpt2")
    seen = []
    for layer in model.transformer.h:
        layer.mlp.act.register_forward_hook(lambda module, args, out: seen.append(args[0].clone()))
    assert len(FusedActivations(model)) == 0


@pytest.mark.skipif(NO_KERNEL, reason="torch is built without oneDNN")
def test_a_linear_layer_that_somebody_listens_to_is_left_alone_and_its_activation_is_one_step():
    model = make("gpt2")
    before = logs(model)
    model.transformer.h[0].mlp.c_fc.register_forward_hook(lambda module, args, out: None)
    fused = FusedActivations(model)
    assert len(fused) == 3
    with fused.used():
        assert "forward" not in vars(model.transformer.h[0].mlp.c_fc)
        torch.testing.assert_close(logs(model), before, atol=1e-4, rtol=0)


def test_a_linear_layer_whose_output_is_read_twice_is_left_alone():
    model = make("gpt2")
    part = model.transformer.h[1].mlp

    class Gated(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.c_fc, self.act, self.c_proj = part.c_fc, part.act, part.c_proj

        def forward(self, hidden):
            inner = self.c_fc(hidden)
            return self.c_proj(self.act(inner) * inner)

    model.transformer.h[1].mlp = Gated()
    before = logs(model)
    fused = FusedActivations(model)
    assert len(fused) == 0  # it would predict something else, which is seen on the tokens that are tried
    with fused.used():
        torch.testing.assert_close(logs(model), before, atol=0, rtol=0)


def test_an_error_leaves_the_model_as_it_was():
    model = make("gpt2")
    with pytest.raises(RuntimeError, match="stopped"), FusedActivations(model).used():
        raise RuntimeError("stopped")
    assert not any("forward" in vars(module) for module in model.modules())


def test_scores_do_not_depend_on_the_batch():
    model, rng = make("gpt2"), random.Random(3)
    groups = []
    for _ in range(6):
        context = tokens(rng, 60)
        groups.append(Group(tuple(context + tokens(rng, 4) for _ in range(3)), (60,) * 3))
    wide, narrow = (
        [
            value
            for group in Scorer(model, 0, size).score(groups)
            for one in group
            for value in one.loglikelihoods
        ]
        for size in (6, 1)
    )
    assert wide == pytest.approx(narrow, abs=1e-4)
