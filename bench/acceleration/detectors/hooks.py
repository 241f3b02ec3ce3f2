"""Methods that diffusers puts in place as hooks on modules."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from bench.acceleration.detectors.caches import script_cache
from bench.acceleration.detectors.parts import hooks
from bench.acceleration.detectors.settings import held_by, merged, settings_of
from bench.acceleration.methods import Loaded, Parameters, acceleration_method

HOOKS: dict[str, str] = {
    "fbc_leader_block_hook": "first_block_cache",
    "fbc_block_hook": "first_block_cache",
    "taylorseer_cache": "taylorseer",
    "mag_cache_leader_block_hook": "mag_cache",
    "mag_cache_block_hook": "mag_cache",
    "pyramid_attention_broadcast": "pab",
    "faster_cache_denoiser": "faster_cache",
    "faster_cache_block": "faster_cache",
    "layer_skip_hook": "layer_skip",
    "layerwise_casting": "layerwise_casting",
    "sea_cache_root": "sea_cache",
    "sea_cache_leader_block": "sea_cache",
    "sea_cache_block": "sea_cache",
    "text_kv_cache_transformer": "text_kv_cache",
    "text_kv_cache_block": "text_kv_cache",
    "group_offloading": "group_offload",
    "lazy_prefetch_group_offloading": "group_offload",
}
"""Names of diffusers' hooks, with the method that each belongs to."""
# What a hook keeps of its place and of the call that runs.
_NO_SETTINGS = frozenset(
    {"fn_ref", "state", "state_manager", "shared_state", "group", "next_group", "is_tail"}
)

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
    """Return the settings of a method that has put its hooks on any module, and on how many modules they are.

    They are read from the hooks, so that it makes no difference whether ``enable_cache()`` or a function put them there.
    """
    found = [(module, hook) for module, name, hook in hooks(loaded.pipe) if HOOKS.get(name) == method]
    if not found:
        return None
    modules = {id(module) for module, _ in found}
    return merged(_settings(hook) for _, hook in found) | {"modules": len(modules)}


def _settings(hook: Any) -> Parameters:
    config = getattr(hook, "config", None)
    if dataclasses.is_dataclass(config):
        return settings_of(config)
    own = {name: value for name, value in vars(hook).items() if name not in _NO_SETTINGS}
    # What each state begins with, such as the order of TaylorSeer.
    begins = getattr(getattr(hook, "state_manager", None), "_init_kwargs", None) or {}
    return _behind(own) | settings_of({**begins, **own})


def _behind(own: Parameters) -> Parameters:
    """Return the configuration that a hook's own callbacks were made from, such as the weights of FasterCache."""
    for value in own.values():
        config = held_by(value).get("config") if callable(value) else None
        if dataclasses.is_dataclass(config) and type(config).__module__.startswith("diffusers."):
            return settings_of(config)
    return {}


def _hook_detector(method: str) -> Callable[[Loaded], Parameters | None]:
    return lambda loaded: hooked(loaded, method)


for _method, _function, _config in _CACHES:
    acceleration_method(
        _method,
        applied_by=(_function,),
        configured_by=(_config,),
        switched_off=("disable_cache",),
        changes=("layers", "denoiser_calls") if _method == "faster_cache" else ("layers",),
        shows="work",
    )(_hook_detector(_method))
acceleration_method(
    "layer_skip",
    applied_by=("apply_layer_skip",),
    configured_by=("LayerSkipConfig",),
    changes=("layers", "idle_layers"),
)(_hook_detector("layer_skip"))
acceleration_method(
    "layerwise_casting",
    switched_on={"enable_layerwise_casting": ("storage_dtype", "compute_dtype")},
    applied_by=("apply_layerwise_casting",),
    changes=("dtypes", "weights"),  # eight bits round them
)(_hook_detector("layerwise_casting"))
acceleration_method(
    "group_offload",
    switched_on={"enable_group_offload": ("onload_device", "offload_device", "offload_type")},
    applied_by=("apply_group_offloading",),
    changes=(),
    shows="nothing",
)(_hook_detector("group_offload"))


@acceleration_method(
    "mag_cache",
    applied_by=("apply_mag_cache",),
    configured_by=("MagCacheConfig",),
    switched_off=("disable_cache",),
    changes=("layers",),
    shows="work",
)
def mag_cache(loaded: Loaded) -> Parameters | None:
    """Return the settings of MagCache, from its own script or from diffusers' hooks."""
    scripted = script_cache(loaded, "magcache_forward", ("magcache_thresh", "K", "retention_ratio"))
    return hooked(loaded, "mag_cache") if scripted is None else scripted
