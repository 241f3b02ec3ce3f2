"""Steps and denoiser calls are counted from outside, of every component, in pipelines of many families."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import tiny_pipelines as tiny

from bench.acceleration.arm.counting import StepCounter, denoisers_of
from bench.acceleration.arm.observation import Watch
from bench.acceleration.protocol.messages import Observed

PROMPTS = ["a red star", "a blue circle"]
STEPS = 3
QUICK = {"num_inference_steps": STEPS, "max_sequence_length": 16}


def generators() -> list[Any]:
    import torch

    return [torch.Generator().manual_seed(number) for number in range(len(PROMPTS))]


def count(pipe: Any, call: Any = None, **options: Any) -> tuple[Observed, Any]:
    """Return what was counted in a call, and what it returned."""
    pipe.set_progress_bar_config(disable=True)
    watch = Watch(pipe)
    with watch.watching():
        result = (call or pipe)(generator=generators(), **options)
    return watch.report(len(PROMPTS)), result


def test_the_schedulers_copies_step_by_themselves_and_nothing_changes() -> None:
    options: dict[str, Any] = {"prompt": PROMPTS, "num_inference_steps": STEPS, "output_type": "np"}
    pipe = tiny.copying()
    found, result = count(pipe, **options)
    assert (found.num_inference_steps, found.scheduler_steps) == (STEPS, STEPS)
    again = tiny.copying()
    again.set_progress_bar_config(disable=True)
    plain = again(generator=generators(), **options)
    np.testing.assert_array_equal(result.images, plain.images)
    np.testing.assert_array_equal(pipe.sound.numpy(), again.sound.numpy())
    assert vars(pipe.other).keys() == vars(again.other).keys()


def test_copies_are_counted_where_the_scheduler_itself_takes_no_step() -> None:
    import torch
    from diffusers import DDIMScheduler

    pipe = tiny.ddpm()
    pipe.scheduler = DDIMScheduler()
    watch, sample = Watch(pipe), torch.zeros(1, 3, 8, 8)
    with watch.watching():
        pipe.scheduler.set_timesteps(STEPS)
        tracks = [copy.deepcopy(pipe.scheduler) for _ in range(4)]  # as for the frames of a video
        for timestep in pipe.scheduler.timesteps:
            for track in tracks:
                track.step(sample, timestep, sample)
    found = watch.report(1)
    assert (found.num_inference_steps, found.scheduler_steps) == (STEPS, STEPS)


def test_a_step_of_the_files_own_is_counted_once_and_stays_one_of_its_scheduler() -> None:
    import inspect
    import types

    import torch
    from diffusers import DDIMScheduler

    def slow(scheduler: Any, model_output: Any, timestep: Any, sample: Any, eta: float = 0.0) -> Any:
        return DDIMScheduler.step(scheduler, model_output, timestep, sample, eta)

    scheduler, sample = DDIMScheduler(), torch.zeros(2, 3, 8, 8)
    for own in (types.MethodType(slow, scheduler), lambda *given, eta=0.0: slow(scheduler, *given, eta=eta)):
        scheduler.step = own  # type: ignore[method-assign]
        pipe = type("Held", (), {})()
        pipe.scheduler = scheduler
        watch = Watch(pipe)
        with watch.watching():
            assert "eta" in inspect.signature(scheduler.step).parameters
            scheduler.set_timesteps(STEPS)
            for timestep in scheduler.timesteps:
                scheduler.step(sample, timestep, sample)
        assert watch.report(2).scheduler_steps == STEPS
        assert scheduler.step is own


def test_a_scheduler_of_no_class_of_diffusers_is_counted() -> None:
    from contextlib import ExitStack
    from types import SimpleNamespace

    held = SimpleNamespace(timesteps=[2, 1], set_timesteps=lambda number: None, step=lambda *_: "stepped")
    counter = StepCounter()
    with ExitStack() as stack:
        counter.watch(stack, held, "scheduler")
        held.set_timesteps(2)
        assert [held.step(None, None, np.zeros((1, 2))) for _ in range(2)] == ["stepped"] * 2
    assert counter.per_image(1) == (2, 2)


def test_both_transformers_of_two_stages_are_counted() -> None:
    found, _ = count(
        tiny.wan(), prompt=PROMPTS, height=16, width=16, num_frames=1, output_type="latent", num_inference_steps=6,
        max_sequence_length=16,
    )  # fmt: skip
    assert found.denoiser_calls == 12
    assert found.calls_by_component == {"transformer": 6.0, "transformer_2": 6.0}
    assert found.idle_layers == []
    assert found.scheduler_steps == 6


def test_layers_that_fused_ones_stand_in_for_are_not_idle() -> None:
    pipe = tiny.sdxl()
    options: dict[str, Any] = {"prompt": PROMPTS, "num_inference_steps": 1, "output_type": "latent"}
    assert count(pipe, **options)[0].idle_layers == []
    pipe.unet.fuse_qkv_projections()
    fused, _ = count(pipe, **options)
    assert fused.idle_layers == []
    pipe.unet.unfuse_qkv_projections()
    assert count(pipe, **options)[0].idle_layers == []
    pipe.unet.fuse_qkv_projections()
    pipe.unet.mid_block.forward = lambda hidden, *_, **__: hidden
    found, _ = count(pipe, **options)
    assert found.idle_layers
    assert all(name.startswith("mid_block.") for name in found.idle_layers)
    assert not any(name.endswith(("attn1.to_q", "attn2.to_k")) for name in found.idle_layers)


def test_layers_of_an_adapter_that_is_disabled_or_fused_are_not_idle() -> None:
    from peft import LoraConfig

    pipe = tiny.sdxl()
    options: dict[str, Any] = {"prompt": PROMPTS, "num_inference_steps": 1, "output_type": "latent"}
    plain, _ = count(pipe, **options)
    pipe.unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_k"]), adapter_name="style")
    added, _ = count(pipe, **options)
    assert added.denoiser_layer_calls == plain.denoiser_layer_calls, "they belong to the layers around them"
    pipe.unet.disable_adapters()
    disabled, _ = count(pipe, **options)
    assert (disabled.denoiser_layer_calls, disabled.idle_layers) == (plain.denoiser_layer_calls, [])
    pipe.unet.enable_adapters()
    pipe.unet.fuse_lora()
    fused, _ = count(pipe, **options)
    assert (fused.denoiser_layer_calls, fused.idle_layers) == (plain.denoiser_layer_calls, [])
    pipe.unet.mid_block.forward = lambda hidden, *_, **__: hidden
    found, _ = count(pipe, **options)
    assert any("to_q.base_layer" in name for name in found.idle_layers)


def test_a_list_of_samples_counts_as_many() -> None:
    found, result = count(
        tiny.z_image(), prompt=list(PROMPTS), height=16, width=16, guidance_scale=4.0, **QUICK
    )
    assert len(result.images) == 2
    assert found.denoiser_calls == STEPS
    assert found.calls_by_component == {"transformer": 2.0 * STEPS}  # guidance: with and without the prompt
    assert found.denoiser_calls_per_image == 2 * STEPS


@pytest.mark.filterwarnings(
    "ignore:`callback_steps` is deprecated:FutureWarning"
)  # which this pipeline gives itself
def test_a_prior_counts_next_to_what_draws_and_has_steps_of_its_own() -> None:
    found, _ = count(
        tiny.kandinsky(),
        prompt=PROMPTS,
        height=16,
        width=16,
        num_inference_steps=STEPS,
        prior_num_inference_steps=2,
    )
    assert found.calls_by_component == {"unet": 2.0 * STEPS, "prior_prior": 2.0 * 2}
    assert (found.num_inference_steps, found.scheduler_steps) == (STEPS, STEPS)


def test_a_refiner_that_a_file_calls_counts_too() -> None:
    from diffusers import StableDiffusionXLImg2ImgPipeline

    pipe = tiny.sdxl()
    refiner = StableDiffusionXLImg2ImgPipeline(**{**pipe.components, "unet": tiny.sdxl_parts()["unet"]})
    refiner.set_progress_bar_config(disable=True)

    def both(generator: list[Any]) -> Any:
        first = pipe(PROMPTS, num_inference_steps=STEPS, generator=generator).images
        return refiner(PROMPTS, image=first, strength=0.7, num_inference_steps=STEPS, generator=generator)

    found, _ = count(pipe, both)
    name = "StableDiffusionXLImg2ImgPipeline.unet"
    assert found.calls_by_component == {"unet": 2.0 * STEPS, name: 2.0 * 2}
    assert found.denoiser_calls == STEPS + 2


def test_a_control_net_is_counted_by_itself() -> None:
    from diffusers import ControlNetModel, StableDiffusionXLControlNetPipeline
    from PIL import Image

    parts = tiny.sdxl_parts()
    control = ControlNetModel.from_unet(parts["unet"], conditioning_embedding_out_channels=(8, 8))
    pipe = StableDiffusionXLControlNetPipeline(**parts, controlnet=control)
    found, _ = count(pipe, prompt=PROMPTS, image=Image.new("RGB", (16, 16)), num_inference_steps=STEPS)
    assert found.calls_by_component == {"unet": 2.0 * STEPS, "controlnet": 2.0 * STEPS}


def test_only_what_predicts_the_noise_is_a_denoiser() -> None:
    assert denoisers_of(tiny.flux()).keys() == {"transformer"}
    assert denoisers_of(tiny.kandinsky()).keys() == {"unet", "prior_prior"}


@pytest.mark.parametrize("compiled", ["blocks", "whole"])
def test_nothing_within_what_is_compiled_is_hooked(compiled: str) -> None:
    import torch

    pipe = tiny.flux()
    if compiled == "blocks":
        pipe.transformer.compile_repeated_blocks(backend="eager", fullgraph=True)
    else:
        pipe.transformer = torch.compile(pipe.transformer, backend="eager", fullgraph=True)
    watch = Watch(pipe)
    with watch.watching():
        hooks = [module._forward_hooks for module in pipe.transformer.modules() if module._forward_hooks]
    assert hooks == []
    found, result = count(pipe, prompt=PROMPTS, height=8, width=8, **QUICK)
    assert len(result.images) == 2
    assert found.calls_by_component == {"transformer": STEPS}
    assert found.denoiser_layer_calls is None
