"""Linear layers with weights that are laid out once, and models that are as they were afterwards."""

from __future__ import annotations

import pytest
import torch
from random_models import make

from bench.language.engine import packed
from bench.language.engine.fusing import FusedActivations
from bench.language.engine.packed import LEAST_ROWS, PackedLinears, plain_linears
from bench.language.engine.thrift import LastLayer

TEXT = torch.tensor([list(range(3, 90)), list(range(4, 91))])
pytestmark = pytest.mark.skipif(
    packed.linear_kernel() is None or not hasattr(torch.ops.mkldnn, "_reorder_linear_weight"),
    reason="torch is built without oneDNN",
)


def logs(model) -> torch.Tensor:
    with torch.inference_mode():
        return model(input_ids=TEXT, use_cache=False).logits.log_softmax(-1)


@pytest.mark.parametrize("name", ["gpt2", "llama", "opt", "gpt_neox"])
def test_a_model_predicts_the_same_and_is_as_it_was_afterwards(name):
    model = make(name)
    before, linears = logs(model), PackedLinears(model)
    assert len(linears) == len(plain_linears(model)) > 8
    with linears.used():
        assert all(isinstance(linear.forward, packed._Packed) for linear in linears._packed)
        torch.testing.assert_close(logs(model), before, atol=1e-5, rtol=1e-5)
    assert not any("forward" in vars(module) for module in model.modules())
    torch.testing.assert_close(logs(model), before, atol=0, rtol=0)


@pytest.mark.parametrize("rows", [1, LEAST_ROWS, 7])
def test_each_number_of_rows_gives_what_the_layer_gives(rows):
    model = make("gpt2")
    linears = PackedLinears(model)
    for linear in list(linears._packed):
        width = linear.weight.shape[0 if packed.is_turned(linear) else 1]
        given = torch.randn(rows, 1, width)
        with torch.inference_mode():
            wanted = linear(given)
            with linears.used():
                torch.testing.assert_close(linear(given), wanted, atol=1e-5, rtol=1e-5)


def _replace(weight):
    weight.data = weight.data * 2


@pytest.mark.parametrize(
    "change", [lambda weight: weight.mul_(2), lambda weight: weight.data.mul_(2), _replace]
)
def test_weights_that_have_changed_are_laid_out_again(change):
    model = make("llama")
    linears = PackedLinears(model)
    with linears.used():
        before = logs(model)
    with torch.no_grad():
        change(model.model.layers[1].mlp.down_proj.weight)
    wanted = logs(model)
    with linears.used():
        found = logs(model)
    assert float((found - before).abs().max()) > 1e-4
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_weights_that_are_as_they_were_are_not_laid_out_again():
    model = make("llama")
    linears = PackedLinears(model)
    laid_out = [linears.weight(linear) for linear in linears._packed]
    with linears.used():
        assert all(
            linears.weight(linear) is one for linear, one in zip(linears._packed, laid_out, strict=True)
        )


def test_a_model_in_half_precision_or_too_large_for_copies_is_left_alone(monkeypatch):
    assert len(PackedLinears(make("gpt2").to(torch.bfloat16))) == 0
    monkeypatch.setattr(packed, "MOST_BYTES", 1000)
    model = make("gpt2")
    assert len(PackedLinears(model)) == 0
    before = logs(model)
    with FusedActivations(model).used():  # computes with the weights as torch has them
        torch.testing.assert_close(logs(model), before, atol=1e-4, rtol=0)


def test_a_kernel_that_computes_something_else_is_not_used(monkeypatch):
    real = packed.linear_kernel()
    monkeypatch.setattr(packed, "linear_kernel", lambda: lambda *given: real(*given) * 1.01)
    model = make("gpt2")
    before = logs(model)
    linears = PackedLinears(model)
    assert len(linears) == 0
    with linears.used():
        torch.testing.assert_close(logs(model), before, atol=0, rtol=0)


def test_a_layer_with_a_forward_of_somebody_elses_keeps_it():
    model = make("gpt2")
    linears = PackedLinears(model)
    linear = model.transformer.h[0].mlp.c_proj

    def own(values):
        return torch.zeros(*values.shape[:-1], 32)

    linear.forward = own
    with linears.used():
        assert linear.forward is own
    assert linear.forward is own


def test_a_last_layer_that_runs_at_the_end_alone_leaves_it_in_place():
    model = make("gpt2")
    last, linears = LastLayer(model), PackedLinears(model)
    with linears.used():
        before = {linear: linear.forward for linear in linears._packed}
        with last.only(1):
            assert any(linear.forward is not forward for linear, forward in before.items())
        assert all(linear.forward is forward for linear, forward in before.items())
    assert not any("forward" in vars(module) for module in model.modules())
