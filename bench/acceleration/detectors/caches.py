"""Methods that reuse what earlier steps computed, from packages and scripts outside of diffusers."""

from __future__ import annotations

import inspect
from typing import Any

from bench.acceleration.methods import Loaded, Parameters, acceleration_method


@acceleration_method("deepcache", packages=("DeepCache",), is_in_source=True, changes=("layers",))
def deepcache(loaded: Loaded) -> Parameters | None:
    """Return the parameters of the helper whose forward is in place."""
    unet = getattr(loaded.pipe, "unet", None)
    # A compiled wrapper has no truth value, and hides the attributes of what it wraps.
    forward: Any = vars(getattr(unet, "_orig_mod", object if unet is None else unet)).get("forward")
    if "DeepCacheSDHelper" not in getattr(forward, "__qualname__", ""):
        return None  # disable() leaves an instance attribute too, but the original function in it
    helper = inspect.getclosurevars(forward).nonlocals.get("self")
    return dict(getattr(helper, "params", {}))


@acceleration_method("teacache", is_in_source=True, changes=("layers",))
def teacache(loaded: Loaded) -> Parameters | None:
    """Return the settings of TeaCache's script."""
    return script_cache(loaded, "teacache_forward", ("rel_l1_thresh", "num_steps", "enable_teacache"))


def script_cache(loaded: Loaded, function: str, parameters: tuple[str, ...]) -> Parameters | None:
    """Return the settings of a cache that is published as a script.

    Such a script replaces the forward of the transformer's class and keeps its settings there.
    """
    transformer = getattr(loaded.pipe, "transformer", None)
    if getattr(type(transformer).forward if transformer is not None else None, "__name__", "") != function:
        return None
    return {name: getattr(transformer, name) for name in parameters if hasattr(transformer, name)}


@acceleration_method("cache_dit", is_in_source=True, changes=("layers",))
def cache_dit(loaded: Loaded) -> Parameters | None:
    """Return the settings of cache-dit."""
    return _context_cache(loaded, managed=True)


@acceleration_method("para_attn", is_in_source=True, changes=("layers",))
def para_attn(loaded: Loaded) -> Parameters | None:
    """Return the settings of ParaAttention's cache."""
    return _context_cache(loaded, managed=False)


def _context_cache(loaded: Loaded, *, managed: bool) -> Parameters | None:
    # cache-dit began as a fork of para-attn: both mark the transformer, only cache-dit manages contexts.
    if not getattr(getattr(loaded.pipe, "transformer", None), "_is_cached", False):
        return None
    if hasattr(loaded.pipe, "_context_manager") != managed:
        return None
    return dict(getattr(loaded.pipe, "_context_kwargs", {}) or {})
