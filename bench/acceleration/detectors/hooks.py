"""Methods that diffusers puts in place as hooks on modules."""

from __future__ import annotations

from collections.abc import Callable

from bench.acceleration.detectors.caches import script_cache
from bench.acceleration.detectors.parts import modules
from bench.acceleration.methods import Loaded, Parameters, acceleration_method

HOOKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "fbc_leader_block_hook": ("first_block_cache", ("threshold",)),
    "fbc_block_hook": ("first_block_cache", ("threshold",)),
    "taylorseer_cache": (
        "taylorseer", ("cache_interval", "disable_cache_before_step", "disable_cache_after_step"),
    ),
    "mag_cache_leader_block_hook": ("mag_cache", ("threshold",)),
    "mag_cache_block_hook": ("mag_cache", ("threshold",)),
    "pyramid_attention_broadcast": ("pab", ("block_skip_range", "timestep_skip_range")),
    "faster_cache_denoiser": ("faster_cache", ("unconditional_batch_skip_range",)),
    "faster_cache_block": ("faster_cache", ("block_skip_range",)),
    "layer_skip_hook": ("layer_skip", ("dropout",)),
    "layerwise_casting": ("layerwise_casting", ("storage_dtype", "compute_dtype")),
    "sea_cache_root": ("sea_cache", ("threshold", "residual_order", "max_consecutive_cached")),
    "text_kv_cache_transformer": ("text_kv_cache", ()),
}  # fmt: skip
"""Names of diffusers' hooks: the method that each belongs to, and the parameters that it keeps."""

# Method, function that applies it, class of its configuration.
_CACHES = (
    ("faster_cache", "apply_faster_cache", "FasterCacheConfig"),
    ("first_block_cache", "apply_first_block_cache", "FirstBlockCacheConfig"),
    ("pab", "apply_pyramid_attention_broadcast", "PyramidAttentionBroadcastConfig"),
    ("sea_cache", "apply_sea_cache", "SeaCacheConfig"),
    ("taylorseer", "apply_taylorseer_cache", "TaylorSeerCacheConfig"),
    ("text_kv_cache", "apply_text_kv_cache", "TextKVCacheConfig"),
)


def hooked(loaded: Loaded, method: str) -> Parameters | None:
    """Return the parameters of a method that has put its hooks on any module."""
    found: Parameters | None = None
    for module in modules(loaded.pipe):
        registry = getattr(module, "_diffusers_hook", None)
        for name, hook in getattr(registry, "hooks", {}).items():
            owner, parameters = HOOKS.get(name, (None, ()))
            if owner == method:
                holder = getattr(hook, "config", hook)
                found = (found or {}) | {
                    key: getattr(holder, key) for key in parameters if hasattr(holder, key)
                }
    return found


def _hook_detector(method: str) -> Callable[[Loaded], Parameters | None]:
    return lambda loaded: hooked(loaded, method)


for _method, _function, _config in _CACHES:
    acceleration_method(
        _method,
        applied_by=(_function,),
        configured_by=(_config,),
        switched_off=("disable_cache",),
        changes=("layers",),
    )(_hook_detector(_method))
acceleration_method(
    "layer_skip", applied_by=("apply_layer_skip",), configured_by=("LayerSkipConfig",), changes=("layers",)
)(_hook_detector("layer_skip"))
acceleration_method(
    "layerwise_casting",
    switched_on={"enable_layerwise_casting": ("storage_dtype", "compute_dtype")},
    applied_by=("apply_layerwise_casting",),
    changes=(),
)(_hook_detector("layerwise_casting"))


@acceleration_method(
    "mag_cache",
    applied_by=("apply_mag_cache",),
    configured_by=("MagCacheConfig",),
    switched_off=("disable_cache",),
    changes=("layers",),
)
def mag_cache(loaded: Loaded) -> Parameters | None:
    """Return the settings of MagCache, from its own script or from diffusers' hooks."""
    scripted = script_cache(loaded, "magcache_forward", ("magcache_thresh", "K", "retention_ratio"))
    return hooked(loaded, "mag_cache") if scripted is None else scripted
