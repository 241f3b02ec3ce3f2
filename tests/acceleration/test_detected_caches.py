"""Caches of diffusers, which are for transformers, what else it puts on modules, and where and how weights are kept."""

import pytest
from tiny_pipeline import methods

CACHES = {
    "FirstBlockCacheConfig": ({"threshold": 0.2}, {"first_block_cache": {"threshold": 0.2, "modules": 3}}),
    "TaylorSeerCacheConfig": (
        {"cache_interval": 4, "disable_cache_before_step": 2, "max_order": 2},
        {
            "taylorseer": {
                "cache_interval": 4, "disable_cache_before_step": 2, "disable_cache_after_step": None, "max_order": 2,
                "taylor_factors_dtype": "torch.bfloat16", "is_inactive": False, "modules": 3,
            }
        },
    ),
    "FasterCacheConfig": (
        {"spatial_attention_block_skip_range": 3, "tensor_format": "BCHW", "attention_weight_callback": abs},
        {
            "faster_cache": {
                "spatial_attention_block_skip_range": 3, "spatial_attention_timestep_skip_range": [-1, 681],
                "temporal_attention_block_skip_range": None, "temporal_attention_timestep_skip_range": [-1, 681],
                "unconditional_batch_skip_range": 5, "unconditional_batch_timestep_skip_range": [-1, 641],
                "low_frequency_weight_update_timestep_range": [99, 901], "alpha_low_frequency": 1.1,
                "high_frequency_weight_update_timestep_range": [-1, 301], "alpha_high_frequency": 1.1,
                "tensor_format": "BCHW", "is_guidance_distilled": False, "block_skip_range": 3,
                "timestep_skip_range": [-1, 681], "modules": 4,
            }
        },
    ),
    "PyramidAttentionBroadcastConfig": (
        {"spatial_attention_block_skip_range": 2, "current_timestep_callback": abs},
        {"pab": {"block_skip_range": 2, "timestep_skip_range": [100, 800], "modules": 3}},
    ),
    "MagCacheConfig": (
        {"threshold": 0.1, "num_inference_steps": 2, "mag_ratios": [1.0, 0.9]},
        {
            "mag_cache": {
                "threshold": 0.1, "num_inference_steps": 2, "mag_ratios": [1.0, 0.9], "max_skip_steps": 3,
                "retention_ratio": 0.2, "calibrate": False, "modules": 3,
            }
        },
    ),
    "SeaCacheConfig": (
        {"threshold": 0.3},
        {
            "sea_cache": {
                "threshold": 0.3, "residual_order": 1, "max_consecutive_cached": 2, "retention_steps": 1,
                "cache_end_steps": 1, "power_exp": 3.0, "modules": 4,
            }
        },
    ),
    "TextKVCacheConfig": ({}, {"text_kv_cache": {"modules": 1}}),
}  # fmt: skip


@pytest.mark.parametrize("name", CACHES)
def test_cache_of_diffusers_is_found_while_it_is_enabled(transformer_pipe, name):
    from diffusers import hooks

    if not hasattr(hooks, name):
        pytest.skip(f"this diffusers has no {name}")
    options, expected = CACHES[name]
    transformer_pipe.transformer.enable_cache(getattr(hooks, name)(**options))
    assert without_identifiers(methods(transformer_pipe)) == expected
    transformer_pipe.transformer.disable_cache()
    assert methods(transformer_pipe) == {}


def without_identifiers(found):
    """The methods without the patterns by which they chose their modules."""
    return {
        method: {name: value for name, value in settings.items() if not name.endswith("identifiers")}
        for method, settings in found.items()
    }


@pytest.mark.parametrize(
    ("config", "function"),
    [
        ("TaylorSeerCacheConfig", "apply_taylorseer_cache"),
        ("FasterCacheConfig", "apply_faster_cache"),
        ("PyramidAttentionBroadcastConfig", "apply_pyramid_attention_broadcast"),
    ],
)
def test_cache_is_the_same_whether_it_was_enabled_or_applied_by_its_function(
    transformer_pipe, config, function
):
    from diffusers import hooks

    options, _ = CACHES[config]
    transformer_pipe.transformer.enable_cache(getattr(hooks, config)(**options))
    enabled = methods(transformer_pipe)
    transformer_pipe.transformer.disable_cache()
    getattr(hooks, function)(transformer_pipe.transformer, getattr(hooks, config)(**options))
    assert methods(transformer_pipe) == enabled


def test_cache_with_several_settings_lists_each_with_the_number_of_its_modules(transformer_pipe):
    from diffusers.hooks import TaylorSeerCacheConfig

    config = TaylorSeerCacheConfig(use_lite_mode=True)
    transformer_pipe.transformer.enable_cache(config)
    found = methods(transformer_pipe)["taylorseer"]
    assert [(entry["is_inactive"], entry["modules"]) for entry in found["by_module"]] == [
        (True, 3),
        (False, 1),
    ]
    assert found["modules"] == 4


def test_projections_of_a_transformer_are_found_while_they_are_fused(transformer_pipe):
    transformer_pipe.transformer.fuse_qkv_projections()
    assert methods(transformer_pipe) == {"fused_qkv": {"components": ["transformer"]}}
    transformer_pipe.transformer.unfuse_qkv_projections()
    assert methods(transformer_pipe) == {}


@pytest.mark.parametrize(
    ("compute", "precision"), [("float32", {}), ("bfloat16", {"precision": {"dtype": "bfloat16"}})]
)
def test_layerwise_casting_computes_in_another_precision_than_it_stores(transformer_pipe, compute, precision):
    import torch

    transformer = transformer_pipe.transformer.to(getattr(torch, compute))
    transformer.enable_layerwise_casting(torch.float8_e4m3fn, getattr(torch, compute))
    found = methods(transformer_pipe)
    casting = found.pop("layerwise_casting")
    assert casting.pop("modules") > 10
    assert casting == {
        "storage_dtype": "torch.float8_e4m3fn",
        "compute_dtype": f"torch.{compute}",
        "non_blocking": False,
    }
    assert found == precision


# Where weights are, how they lie there, and what computes attention


def test_group_offload_is_found(transformer_pipe):
    import torch

    transformer_pipe.transformer.enable_group_offload(torch.device("cpu"), offload_type="leaf_level")
    found = methods(transformer_pipe)
    assert set(found) == {"group_offload"}
    assert {"onload_device": "cpu", "offload_type": "leaf_level"}.items() <= found["group_offload"].items()


def test_cpu_offload_is_found_while_its_hooks_are_there(transformer_pipe):
    transformer_pipe.enable_sequential_cpu_offload(device="cpu")
    assert methods(transformer_pipe) == {"cpu_offload": {"by": "module"}}
    transformer_pipe.remove_all_hooks()
    assert methods(transformer_pipe) == {}


def test_attention_backend_is_found_with_its_name(transformer_pipe, monkeypatch):
    from diffusers.models.attention_dispatch import _AttentionBackendRegistry

    monkeypatch.setattr(
        _AttentionBackendRegistry, "_active_backend", _AttentionBackendRegistry._active_backend
    )
    assert methods(transformer_pipe) == {}
    transformer_pipe.transformer.set_attention_backend("_native_math")
    expected = {"attention_backend": {"transformer": "_native_math"}}
    assert methods(transformer_pipe) == expected
    # Taken back it is still the one of the process, with which processors compute that name none.
    transformer_pipe.transformer.reset_attention_backend()
    assert methods(transformer_pipe) == expected
    transformer_pipe.transformer.set_attention_backend("native")
    assert methods(transformer_pipe) == {}


def attend(*args, **kwargs):
    """Stands for the attention of another package."""


def test_function_in_the_place_of_torchs_attention_is_found(pipe, monkeypatch):
    import torch

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", attend)
    found = methods(pipe)["attention_backend"]["scaled_dot_product_attention"]
    assert found == f"{__name__}.attend"


def test_channels_last_is_found_by_the_layout_of_the_weights(pipe):
    import torch

    pipe.unet.to(memory_format=torch.channels_last)
    assert methods(pipe) == {"channels_last": {"components": ["unet"]}}
    pipe.unet.to(memory_format=torch.contiguous_format)
    assert methods(pipe) == {}
