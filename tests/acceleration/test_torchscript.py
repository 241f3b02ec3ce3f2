"""What torch.jit has traced, and modules of a file's own around a model, are seen through."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tiny_pipeline import STEPS, methods

from bench.acceleration.arm.observation import Watch
from bench.acceleration.arm.parts_of_model import parts_of
from bench.acceleration.detectors.compiled import has_compiled, model_within, runs_script
from bench.acceleration.parts import differing_parts

pytestmark = pytest.mark.filterwarnings(
    "ignore"
)  # torch has deprecated what files still use; and tracers warn


class Plain:
    """Makes a module of a U-Net that takes and returns tensors alone, as tracing needs it."""

    def __new__(cls, unet: Any) -> Any:
        import torch

        class Tensors(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.unet = unet

            def forward(self, sample: Any, timestep: Any, states: Any) -> Any:
                return self.unet(sample, timestep, encoder_hidden_states=states, return_dict=False)[0]

        return Tensors().eval()


def trace(unet: Any) -> Any:
    import torch

    size, width = unet.config.sample_size, unet.config.cross_attention_dim
    given = (
        torch.randn(2, unet.config.in_channels, size, size),
        torch.tensor(10),
        torch.randn(2, 32, width),
    )
    with torch.no_grad():
        return torch.jit.trace(Plain(unet), given, check_trace=False)


def around(inner: Any, unet: Any, call: Any) -> Any:
    """Return a module that stands for a U-Net and calls what is in it."""
    import torch

    class Around(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.config, self.add_embedding = inner, unet.config, None
            self.dtype, self.device = unet.dtype, unet.device

        def forward(self, sample: Any, timestep: Any, encoder_hidden_states: Any, **_: Any) -> Any:
            return (call(self.inner, sample, timestep, encoder_hidden_states),)

    return Around()


def as_module(pipe: Any) -> str:
    pipe.unet = around(trace(pipe.unet), pipe.unet, lambda traced, *given: traced(*given))
    return "unet.inner"


def as_forward(pipe: Any) -> str:
    traced = trace(pipe.unet)
    pipe.unet.forward = lambda sample, timestep, encoder_hidden_states=None, **_: (
        traced(sample, timestep, encoder_hidden_states),
    )
    return "unet"


def as_part(pipe: Any) -> str:
    import torch

    latents = torch.randn(1, pipe.vae.config.latent_channels, 4, 4)
    with torch.no_grad():
        pipe.vae.decoder = torch.jit.trace(pipe.vae.decoder, latents, check_trace=False)
    return "vae.decoder"


@pytest.mark.parametrize("apply", [as_module, as_forward, as_part])
def test_torchscript_is_a_method_that_leaves_the_model_what_it_is(pipe, apply):
    before = parts_of(pipe)
    place = apply(pipe)
    found = methods(pipe)
    assert found["torchscript"] == {"modules": [place]}
    assert "dropped_blocks" not in found
    assert differing_parts(before, parts_of(pipe)) == []


@pytest.mark.parametrize("apply", [as_module, as_forward])
def test_a_traced_denoiser_is_counted_but_not_its_layers(pipe, apply):
    apply(pipe)
    counters = Watch(pipe)
    with counters.watching():
        pipe("a square", num_inference_steps=STEPS, output_type="np")
    found = counters.report(1)
    assert found.denoiser_calls == STEPS
    assert (found.denoiser_layer_calls, found.idle_layers) == (None, None)


def test_other_weights_in_torchscript_are_another_model(pipe):
    import torch

    before = parts_of(pipe)
    with torch.no_grad():
        pipe.unet.conv_in.weight.mul_(9.0)
    as_module(pipe)
    assert [name for name, *_ in differing_parts(before, parts_of(pipe))] == ["unet.weights"]


def test_a_module_around_a_model_is_told_apart_by_what_it_runs(pipe):
    before = parts_of(pipe)
    pipe.unet = around(
        pipe.unet, pipe.unet, lambda unet, *given: unet(*given, return_dict=False)[0]
    )  # in a file, it might call the U-Net at every second step
    assert differing_parts(before, parts_of(pipe)) == []
    assert methods(pipe) == {"patched_forward": {"files": ["test_torchscript.py"]}}
    assert not has_compiled(pipe.unet)


def test_a_module_that_holds_more_than_one_model_is_none_of_them(pipe):
    import torch

    two = torch.nn.ModuleDict({"first": pipe.unet, "second": copy.deepcopy(pipe.unet)})
    assert model_within(two) is two
    assert model_within(torch.nn.Sequential(pipe.unet)) is pipe.unet
    assert model_within(pipe.unet) is pipe.unet


def test_a_forward_that_calls_no_torchscript_runs_none(pipe):
    forward, calls = pipe.unet.forward, []

    def counted(*given: Any, **named: Any) -> Any:
        calls.append(given)
        return forward(*given, **named)

    pipe.unet.forward = counted
    assert not runs_script(pipe.unet)
    assert not runs_script(pipe.vae)
