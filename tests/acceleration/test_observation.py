"""What a pipeline really does while it generates is counted on the objects themselves, and changes nothing."""

import copy
import types

import msgspec
import numpy as np
import pytest
import tiny_pipelines
from tiny_pipeline import PROMPT, STEPS

from bench.acceleration.arm import observation
from bench.acceleration.arm.observation import Watch, find_denoiser
from bench.acceleration.detectors.compiled import is_compiled
from bench.acceleration.protocol.messages import Observed
from bench.core.record import plain_problems


def count(pipe, counters=None, *, prompts=(PROMPT,), call=None, **options):
    """Generate with counters and return their report."""
    counters = counters or Watch(pipe)
    with counters.watching():
        (call or pipe)(list(prompts), **{"num_inference_steps": STEPS, **options})
    return counters.report(image_count=len(prompts))


def test_steps_and_denoiser_calls_are_counted(pipe):
    found = count(pipe)
    plain = msgspec.to_builtins(found)
    assert plain.pop("denoiser_layer_calls") > 100 * STEPS
    assert plain.pop("arguments")["guidance_scale"] == 7.5
    assert len(plain.pop("texts")) == 16
    assert plain == {
        "num_inference_steps": STEPS,
        "scheduler_steps": STEPS,
        "denoiser_calls": STEPS,
        "denoiser_calls_per_image": 2 * STEPS,  # guidance: a sample with and one without the prompt
        "calls_by_component": {"unet": 2 * STEPS},
        "idle_layers": [],
        "not_finite": False,
        "step_s": None,
        "part_s": None,
        "compile_s": None,
    }


def test_texts_are_those_that_the_encoder_reads_in_whatever_batches(pipe):
    prompts = [f"{PROMPT} {number}" for number in range(3)]

    def backwards(prompts, **options):
        for prompt in reversed(prompts):
            pipe(prompt, **options)

    plain = count(pipe, prompts=prompts).texts
    assert plain == count(pipe, prompts=prompts, negative_prompt=[""] * 3).texts
    assert plain == count(pipe, prompts=prompts, call=backwards).texts
    blurry = [
        count(pipe, prompts=prompts, negative_prompt=["blurry"] * 3, guidance_scale=scale).texts
        for scale in (7.5, 1.0)
    ]
    without = count(pipe, prompts=prompts, guidance_scale=1.0).texts
    assert blurry[1] == without, "without guidance it is not read"
    assert len({plain, *blurry, count(pipe, prompts=prompts[:2]).texts}) == 4
    watch = Watch(pipe)
    with watch.watching(layers=False):
        pipe(PROMPT, num_inference_steps=1)
    assert watch.report(1).texts is None


@pytest.mark.parametrize("zeros", [True, False])
def test_to_a_pipeline_that_makes_zeros_of_no_negative_prompt_an_empty_one_is_another_text(zeros):
    pipe = tiny_pipelines.sdxl()
    pipe.register_to_config(force_zeros_for_empty_prompt=zeros)
    options = {"height": 16, "width": 16, "output_type": "np"}
    none, empty = (count(pipe, negative_prompt=text, **options).texts for text in (None, [""]))
    assert (none != empty) is zeros
    assert none == count(pipe, prompt_2=[PROMPT], **options).texts
    assert none != count(pipe, prompt_2=["something else"], **options).texts


@pytest.mark.parametrize(("prompts", "guidance_scale", "per_image"), [(3, 7.5, 2), (3, 1.0, 1), (1, 1.0, 1)])
def test_denoiser_calls_per_image_do_not_depend_on_the_batch(pipe, prompts, guidance_scale, per_image):
    found = count(pipe, prompts=[PROMPT] * prompts, guidance_scale=guidance_scale)
    assert found.denoiser_calls == STEPS
    assert found.denoiser_calls_per_image == per_image * STEPS


def test_steps_are_those_of_each_image(pipe):
    """Who makes fewer images than it returns has taken fewer steps for each."""

    def every_other(prompts, **options):
        pipe(prompts[::2], **options)

    def one_by_one(prompts, **options):
        for prompt in prompts:
            pipe(prompt, **options)

    prompts = [f"{PROMPT} {number}" for number in range(4)]
    assert count(pipe, prompts=prompts, call=every_other).scheduler_steps == STEPS // 2
    assert count(pipe, prompts=prompts, call=one_by_one).scheduler_steps == STEPS


def test_every_call_is_counted_from_zero(pipe):
    counters = Watch(pipe)
    first = count(pipe, counters)
    assert count(pipe, counters) == first
    assert count(pipe, counters, num_inference_steps=2).scheduler_steps == 2
    with counters.watching():
        pass
    found = counters.report(image_count=1)
    assert found == Observed(
        num_inference_steps=None, scheduler_steps=0, denoiser_calls=0, denoiser_calls_per_image=0,
        calls_by_component={"unet": 0.0}, denoiser_layer_calls=0, idle_layers=found.idle_layers, not_finite=False,
    )  # fmt: skip
    assert len(found.idle_layers) > 50


def test_steps_are_timed_where_layers_are_not_counted(pipe, monkeypatch):
    clock = iter([10.0, 11.0, 14.0, 16.0, 100.0, 105.0, 110.0, 115.0])  # two runs, each of four steps
    monkeypatch.setattr(observation, "time_when_done", lambda: next(clock))
    monkeypatch.setattr(observation, "PartClock", lambda _: None)
    counters = Watch(pipe)
    with counters.watching(layers=False):
        assert not any(module._forward_hooks for module in pipe.unet.modules())
        for _ in range(2):
            pipe(PROMPT, num_inference_steps=STEPS)
    found = counters.report(image_count=2)
    assert found.step_s == 4.0  # of 1, 3, 2 and 5, 5, 5: not the time between the runs
    assert (found.scheduler_steps, found.denoiser_calls) == (STEPS, 2 * STEPS)
    assert (found.denoiser_layer_calls, found.idle_layers) == (None, None)
    assert count(pipe, counters).step_s is None  # and the clock is not looked at


def test_parts_are_timed_in_the_same_call(pipe):
    counters = Watch(pipe)
    with counters.watching(layers=False):
        pipe(PROMPT, num_inference_steps=STEPS)
    found = counters.report(image_count=1).part_s
    assert set(found) == {"text encoder", "denoiser", "decoder", "rest"}
    assert found["denoiser"] > max(found["text encoder"], 0.0)
    with counters.watching():
        pipe(PROMPT, num_inference_steps=STEPS)
    assert counters.report(image_count=1).part_s is None


@pytest.mark.parametrize("steps", [0, 1])
def test_no_time_between_two_steps_is_known_where_there_are_not_two(pipe, steps):
    counters = Watch(pipe)
    with counters.watching(layers=False):
        if steps:
            pipe(PROMPT, num_inference_steps=steps)
    assert counters.report(image_count=1).step_s is None


def test_everything_is_taken_off_again(pipe):
    import torch

    def places():
        return [
            vars(type(pipe))["__call__"], vars(torch.nn.Module)["__call__"], "__call__" in vars(type(pipe.unet)),
            *(vars(type(pipe.scheduler))[name] for name in ("step", "set_timesteps")), "step" in vars(pipe.scheduler),
            "postprocess" in vars(pipe.image_processor),
            type(pipe).__setattr__,
        ]  # fmt: skip

    before = places()
    count(pipe)
    with Watch(pipe).watching():
        assert places() != before
    with pytest.raises(TypeError), Watch(pipe).watching():
        pipe(PROMPT, num_inference_steps="many")
    assert places() == before
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in pipe.unet.modules())


def test_two_steps_of_a_multi_step_start_are_counted_as_the_scheduler_takes_them(pipe):
    from diffusers import PNDMScheduler

    pipe.scheduler = PNDMScheduler.from_config(pipe.scheduler.config, skip_prk_steps=True)
    found = count(pipe)
    assert (found.num_inference_steps, found.scheduler_steps) == (STEPS, STEPS + 1)


def test_scheduler_that_is_replaced_later_is_watched_too(pipe):
    from diffusers import EulerDiscreteScheduler

    counters = Watch(pipe)
    count(pipe, counters)
    first = pipe.scheduler
    pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config)
    for scheduler in (pipe.scheduler, first, pipe.scheduler, first):
        pipe.scheduler = scheduler
        assert count(pipe, counters).scheduler_steps == STEPS


def test_custom_timesteps_are_counted_where_no_number_of_steps_is_given(pipe):
    from diffusers import EulerDiscreteScheduler

    pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config)
    found = count(pipe, timesteps=[900, 500, 100], num_inference_steps=None)
    assert (found.num_inference_steps, found.scheduler_steps) == (3, 3)


def test_counting_does_not_change_the_image(pipe):
    import torch

    def draw(**options):
        generator = torch.Generator().manual_seed(7)
        (image,) = pipe(PROMPT, num_inference_steps=STEPS, generator=generator, eta=0.5, **options).images
        return np.asarray(image)

    plain = draw()
    counters = Watch(pipe)
    with counters.watching():
        np.testing.assert_array_equal(draw(), plain)
    np.testing.assert_array_equal(draw(), plain)


# What methods change


def test_arguments_without_a_parameter_are_marked_unless_they_are_handed_on(pipe):
    class Own(type(pipe)):
        def __call__(self, text, n=STEPS, **options):
            return super().__call__(text, num_inference_steps=n, **options)

    pipe.__class__ = Own
    watch = Watch(pipe)
    with watch.watching():
        pipe(text=PROMPT, guidance_scale=3.0, guidence_scale=1.0, output_type="np")
    found = watch.report(1).arguments
    assert {name for name in found if name.startswith("**")} == {"**guidence_scale"}
    assert (found["guidance_scale"], found["**guidence_scale"], found["n"]) == (3.0, 1.0, STEPS)


def test_deepcache_runs_fewer_layers_in_as_many_calls(pipe):
    from DeepCache import DeepCacheSDHelper

    plain = count(pipe)
    helper = DeepCacheSDHelper(pipe=pipe)
    helper.set_params(cache_interval=2, cache_branch_id=0)
    helper.enable()
    cached = count(pipe)
    assert cached.denoiser_layer_calls < 0.8 * plain.denoiser_layer_calls
    for name in ("num_inference_steps", "scheduler_steps", "denoiser_calls"):
        assert getattr(cached, name) == getattr(plain, name)
    helper.disable()
    assert count(pipe).denoiser_layer_calls == plain.denoiser_layer_calls


def test_deepcache_that_never_skips_runs_all_layers(pipe):
    from DeepCache import DeepCacheSDHelper

    plain = count(pipe)
    helper = DeepCacheSDHelper(pipe=pipe)
    helper.set_params(cache_interval=1, cache_branch_id=0)
    helper.enable()
    assert count(pipe).denoiser_layer_calls == plain.denoiser_layer_calls


def test_tgate_needs_fewer_denoiser_samples_behind_its_gate(pipe):
    from tgate import TgateSDLoader

    TgateSDLoader(pipe, gate_step=2, num_inference_steps=STEPS)
    found = count(pipe, call=pipe.tgate, gate_step=2, sp_interval=1, fi_interval=1, warm_up=1)
    assert found.scheduler_steps == STEPS
    assert found.denoiser_calls_per_image == 2 * 2 + (STEPS - 2)


def test_layers_are_the_innermost_modules_with_weights():
    import torch

    class Denoiser(torch.nn.Sequential):
        own_weight = torch.nn.Parameter(torch.zeros(1))  # does not make the whole a layer

    block = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.Linear(2, 2, bias=False))
    pipe = types.SimpleNamespace(unet=Denoiser(block, torch.nn.Dropout(), block))
    counters = Watch(pipe)
    with counters.watching():
        pipe.unet(torch.zeros(1, 2))
        pipe.unet(torch.zeros(1, 2))
    assert counters.report(image_count=1).denoiser_layer_calls == 2 * 2 * 2


# Numbers that are none


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_number_that_is_none_is_seen_in_the_decoder_where_the_image_hides_it(pipe, bad):
    import torch

    counters, weight = Watch(pipe), pipe.vae.decoder.conv_out.weight
    whole = weight.detach().clone()
    with torch.no_grad():
        weight[0, 0, 0, 0] = bad
    assert count(pipe, counters).not_finite is True
    with torch.no_grad():
        weight.copy_(whole)
    assert count(pipe, counters).not_finite is False


def test_number_that_is_none_is_seen_through_tiles(pipe):
    import torch

    pipe.vae.enable_tiling()
    pipe.vae.tile_latent_min_size = 4
    with torch.no_grad():
        pipe.vae.decoder.conv_out.bias[1] = float("nan")
    assert count(pipe).not_finite is True


# Pipelines of other kinds


def test_compiled_denoiser_is_counted_but_not_its_layers(pipe):
    import torch

    assert not is_compiled(pipe.unet)
    wrapped = torch.compile(pipe.unet, backend="eager")
    assert is_compiled(wrapped)
    pipe.unet.compile(backend="eager")
    assert is_compiled(pipe.unet)
    counters = Watch(pipe)
    pipe.unet._compiled_call_impl = (
        pipe.unet._call_impl
    )  # as if compiled: what counts is that it is not opened up
    found = count(pipe, counters)
    assert found.denoiser_layer_calls is None
    assert found.denoiser_calls == STEPS


def test_pipeline_without_scheduler_denoiser_or_decoder_has_nothing_to_count():
    counters = Watch(types.SimpleNamespace())
    with counters.watching():
        pass
    found = counters.report(image_count=2)
    assert found.num_inference_steps is None
    assert found.denoiser_layer_calls is None
    assert found.denoiser_calls_per_image == 0


@pytest.mark.parametrize("name", ["unet", "transformer", "prior", "decoder"])
def test_denoiser_is_found_by_its_usual_names_and_its_samples_are_counted(name):
    import torch

    class Denoiser(torch.nn.Module):
        def forward(self, sample=None, hidden_states=None, note=None):
            return sample

    module = Denoiser()
    pipe = types.SimpleNamespace(**{name: module, "vae": None})
    assert find_denoiser(pipe) is module
    counters = Watch(pipe)
    batch = torch.zeros(6, 4)
    with counters.watching():
        module(batch)
        module(sample=batch)
        module(hidden_states=batch)
        module(note="no tensor")
    found = counters.report(image_count=3)
    assert (found.denoiser_calls, found.denoiser_calls_per_image) == (4, 19 / 3)
    assert find_denoiser(types.SimpleNamespace(unet="a name")) is None


def test_report_is_plain_and_copies_nothing_that_changes(pipe):
    counters = Watch(pipe)
    found = count(pipe, counters)
    kept = copy.deepcopy(found)
    count(pipe, counters, num_inference_steps=2)
    assert found == kept
    assert plain_problems(msgspec.to_builtins(found)) == []
