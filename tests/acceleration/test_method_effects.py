"""Methods that are in place and do nothing are told from those that act, on real pipelines."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from method_effects import PROMPTS, effect_between, seen
from tiny_pipeline import STEPS

from bench.acceleration.effect import judge_effect
from bench.core.record import plain_problems
from bench.machine.torchvision_shim import ensure_torchvision


def call(pipe: Any, **options: Any):
    return lambda generator: pipe(PROMPTS, num_inference_steps=STEPS, generator=generator, **options)


def check(effect, method: str, expected: bool | None) -> None:
    """The method has that effect, and a task that asks for it is failed where it has none."""
    assert effect.against == "baseline"
    assert effect.methods[method] is expected
    verdict = judge_effect(effect, (method,))
    assert verdict.holds is (expected is not False)
    if expected is False:
        assert verdict.reason_code == "method_without_effect"
        assert f"{method} is in place without an effect: images, executed layers" in verdict.reason


# On a U-Net


def deepcache(pipe, interval):
    from DeepCache import DeepCacheSDHelper

    helper = DeepCacheSDHelper(pipe=pipe)
    helper.set_params(cache_interval=interval, cache_branch_id=0)
    helper.enable()


@pytest.mark.parametrize(("interval", "acts"), [(1, False), (2, True)])
def test_deepcache_acts_from_an_interval_of_two(pipe, interval: int, acts: bool) -> None:
    plain = seen(pipe, call(pipe))
    deepcache(pipe, interval)
    effect = effect_between(plain, seen(pipe, call(pipe)))
    check(effect, "deepcache", acts)
    assert effect.images == len(PROMPTS)
    assert ("layers_per_call" in effect.changes) is acts
    assert plain_problems(msgspec.to_builtins(effect)) == []


@pytest.mark.parametrize(("max_downsample", "acts"), [(1, False), (2, True)])
def test_tome_reaches_the_attention_of_a_model_like_sdxl_only_below_its_default(
    pipe, max_downsample: int, acts: bool
) -> None:
    import tomesd
    import torch
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    pipe.unet = UNet2DConditionModel(  # no attention at the full size of the latents
        sample_size=8, layers_per_block=1, block_out_channels=(32, 64), cross_attention_dim=32,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=2, norm_num_groups=8,
    )  # fmt: skip
    plain = seen(pipe, call(pipe))
    tomesd.apply_patch(pipe, ratio=0.5, max_downsample=max_downsample)
    check(effect_between(plain, seen(pipe, call(pipe))), "tome", acts)


def test_calling_the_pipeline_itself_next_to_tgate_is_no_tgate(pipe) -> None:
    from tgate import TgateSDLoader

    plain = seen(pipe, call(pipe))
    TgateSDLoader(pipe, gate_step=2, num_inference_steps=STEPS)
    # As an arm would find it that believes the file's text.
    candidate = seen(pipe, call(pipe), entry="tgate", gate_step=2)
    check(effect_between(plain, candidate), "tgate", False)

    def gated(generator):
        return pipe.tgate(
            PROMPTS,
            num_inference_steps=STEPS,
            generator=generator,
            gate_step=2,
            sp_interval=1,
            fi_interval=1,
            warm_up=1,
        )

    check(effect_between(plain, seen(pipe, gated, entry="tgate", gate_step=2)), "tgate", True)


def test_reduced_precision_and_a_compiled_module_are_seen_for_what_they_are(pipe) -> None:
    import torch

    plain = seen(pipe, call(pipe))
    pipe.vae.compile(backend="eager")
    effect = effect_between(plain, seen(pipe, call(pipe)))
    check(effect, "torch_compile", None)
    pipe.to(torch.bfloat16)
    effect = effect_between(plain, seen(pipe, call(pipe)))
    check(effect, "precision", True)
    assert effect.methods == {"precision": True, "torch_compile": None}
    assert {"dtypes", "weight_bytes"} <= effect.changes.keys()


def test_blocks_that_are_always_skipped_are_an_effect(pipe) -> None:
    from diffusers.hooks import LayerSkipConfig, apply_layer_skip

    plain = seen(pipe, call(pipe))
    apply_layer_skip(pipe.unet, LayerSkipConfig([0], fqn="mid_block.attentions.0.transformer_blocks"))
    check(effect_between(plain, seen(pipe, call(pipe))), "layer_skip", True)


def test_one_method_that_acts_hides_no_other_that_skips_nothing(pipe) -> None:
    import tomesd

    plain = seen(pipe, call(pipe))
    deepcache(pipe, 1)
    tomesd.apply_patch(pipe, ratio=0.5, max_downsample=2)
    effect = effect_between(plain, seen(pipe, call(pipe)))
    assert effect.differing_images
    assert effect.methods == {"deepcache": False, "tome": None}
    assert "images" not in judge_effect(effect, ("deepcache", "tome")).reason.partition("are those")[0]


def test_a_pipeline_that_differs_in_more_than_methods_is_nothing_to_compare_with(pipe) -> None:
    plain = seen(pipe, call(pipe))
    deepcache(pipe, 1)
    effect = effect_between(plain, seen(pipe, call(pipe, guidance_scale=3.0)))
    assert effect.against is None
    assert effect.methods == {"deepcache": None}
    assert judge_effect(effect, ("deepcache",)).holds
    # Nor is one with a method of its own.
    tiled = seen(pipe, call(pipe))
    pipe.vae.enable_tiling()
    assert effect_between(seen(pipe, call(pipe)), tiled).against is None


def test_a_target_without_methods_serves_where_the_baseline_is_another_pipeline(pipe) -> None:
    from bench.acceleration.effect import effect_of

    baseline, _ = seen(pipe, call(pipe, guidance_scale=3.0))
    target, _ = seen(pipe, call(pipe))
    deepcache(pipe, 1)
    candidate, _ = seen(pipe, call(pipe))
    effect = effect_of(candidate, [("baseline", baseline), ("target", target)], (2, 2))
    assert (effect.against, effect.images, effect.differing_images) == ("target", None, None)
    assert effect.methods == {"deepcache": False}
    assert "those of the target without it" in judge_effect(effect, ("deepcache",)).reason


@pytest.mark.parametrize(("interval", "acts"), [(1, None), (2, True)])
def test_a_method_that_the_target_has_too_is_seen_in_the_layers_of_a_baseline_with_another_scheduler(
    pipe, interval: int, acts: bool | None
) -> None:
    from diffusers import UniPCMultistepScheduler

    from bench.acceleration.effect import effect_of

    baseline, _ = seen(pipe, call(pipe))
    pipe.scheduler = UniPCMultistepScheduler.from_config(pipe.scheduler.config)
    deepcache(pipe, interval)
    target, _ = seen(pipe, call(pipe))
    effect = effect_of(target, [("baseline", baseline), ("target", target)])
    assert effect.methods == {"deepcache": acts}
    other, _ = seen(pipe, call(pipe, guidance_scale=3.0))
    assert effect_of(target, [("baseline", other)]).methods == {"deepcache": None}, "it differs in more"


# On a transformer


@pytest.fixture
def flux() -> Any:
    """A FluxPipeline with random weights that takes embeddings and returns latents."""
    ensure_torchvision()
    import torch
    from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

    torch.manual_seed(0)
    transformer = FluxTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=2, num_single_layers=1, attention_head_dim=8, num_attention_heads=2,
        joint_attention_dim=16, pooled_projection_dim=8, axes_dims_rope=(2, 2, 4),
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(8,), latent_channels=4, norm_num_groups=4, sample_size=8, shift_factor=0.0,
        down_block_types=("DownEncoderBlock2D",), up_block_types=("UpDecoderBlock2D",),
    )  # fmt: skip
    pipe = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=vae, text_encoder=None, tokenizer=None,
        text_encoder_2=None, tokenizer_2=None, transformer=transformer,
    )  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    return pipe


def flux_call(pipe: Any):
    import torch

    given = torch.Generator().manual_seed(1)
    embeddings = {
        "prompt_embeds": torch.randn(len(PROMPTS), 3, 16, generator=given),
        "pooled_prompt_embeds": torch.randn(len(PROMPTS), 8, generator=given),
    }
    return lambda generator: pipe(
        **embeddings, height=16, width=16, num_inference_steps=6, generator=generator, output_type="np"
    )


CACHES = {
    "at a threshold of 0": ("first_block_cache", "FirstBlockCacheConfig", {"threshold": 0.0}, False),
    "at a high threshold": ("first_block_cache", "FirstBlockCacheConfig", {"threshold": 50.0}, True),
    "by its defaults": ("sea_cache", "SeaCacheConfig", {}, False),
    "every second step": (
        "taylorseer",
        "TaylorSeerCacheConfig",
        {"cache_interval": 2, "disable_cache_before_step": 1},
        True,
    ),
    "from behind the last step": (
        "taylorseer",
        "TaylorSeerCacheConfig",
        {"disable_cache_before_step": 9},
        False,
    ),
    "while it calibrates": (
        "mag_cache",
        "MagCacheConfig",
        {"calibrate": True, "num_inference_steps": 6},
        False,
    ),
    "with ratios of one": (
        "mag_cache",
        "MagCacheConfig",
        {"mag_ratios": [1.0] * 6, "num_inference_steps": 6},
        True,
    ),
}


@pytest.mark.parametrize("case", CACHES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_cache_of_diffusers_acts_only_where_it_skips(flux, case: str) -> None:
    from diffusers import hooks

    method, config, options, acts = CACHES[case]
    if not hasattr(hooks, config):
        pytest.skip(f"this diffusers has no {config}")
    plain = seen(flux, flux_call(flux))
    flux.transformer.enable_cache(getattr(hooks, config)(**options))
    check(effect_between(plain, seen(flux, flux_call(flux))), method, acts)
