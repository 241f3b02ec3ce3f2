"""Methods that reuse what earlier steps computed, from packages and scripts outside of diffusers."""

from __future__ import annotations

import inspect
from typing import Any

from bench.acceleration.detectors.parts import components
from bench.acceleration.detectors.settings import held_by, merged, settings_of
from bench.acceleration.methods import Loaded, Parameters, acceleration_method


@acceleration_method(
    "deepcache", packages=("DeepCache",), is_in_source=True, changes=("layers",), shows="work"
)
def deepcache(loaded: Loaded) -> Parameters | None:
    """Return the parameters of the helper whose forward is in place."""
    unet = getattr(loaded.pipe, "unet", None)
    # A compiled wrapper has no truth value, and hides the attributes of what it wraps.
    forward: Any = vars(getattr(unet, "_orig_mod", object if unet is None else unet)).get("forward")
    if "DeepCacheSDHelper" not in getattr(forward, "__qualname__", ""):
        return None  # disable() leaves an instance attribute too, but the original function in it
    helper = inspect.getclosurevars(forward).nonlocals.get("self")
    return dict(getattr(helper, "params", {}))


@acceleration_method("teacache", is_in_source=True, changes=("layers",), shows="work")
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


@acceleration_method(
    "cache_dit", packages=("cache_dit",), is_in_source=True, changes=("layers",), shows="work"
)
def cache_dit(loaded: Loaded) -> Parameters | None:
    """Return the settings of cache-dit, which was given the pipeline or a transformer alone."""
    cached = [part for _, part in components(loaded.pipe) if _is_cached(part)]
    if not any(_manages_contexts(part) for part in (loaded.pipe, *cached)):
        return None
    # Each context has a name of its own, made from where the model is in memory.
    return merged(
        settings_of({name: value for name, value in _context(loaded.pipe, part).items() if name != "name"})
        for part in cached
    )


def _manages_contexts(thing: Any) -> bool:
    return getattr(thing, "_context_manager", None) is not None


def _context(pipe: Any, part: Any) -> dict[str, Any]:
    return dict(getattr(part, "_context_kwargs", None) or getattr(pipe, "_context_kwargs", None) or {})


@acceleration_method(
    "para_attn", packages=("para_attn",), is_in_source=True, changes=("layers",), shows="work"
)
def para_attn(loaded: Loaded) -> Parameters | None:
    """Return the settings of ParaAttention's cache.

    cache-dit began as a fork of it, and marks pipelines in the same way; only that one manages contexts.
    """
    transformer = getattr(loaded.pipe, "transformer", None)
    if not _is_cached(transformer) or _manages_contexts(loaded.pipe) or _manages_contexts(transformer):
        return None
    return _of_call(type(loaded.pipe)) | _of_blocks(transformer)


def _is_cached(part: Any) -> bool:
    return bool(getattr(part, "_is_cached", False))


def _of_call(kind: type) -> Parameters:
    """Return what ParaAttention's entry point, in the class of the pipeline, makes its contexts from."""
    function: Any = kind.__call__
    while function is not None:
        if getattr(function, "__globals__", {}).get("__name__", "").startswith("para_attn."):
            context = getattr(function.__globals__.get("utils"), "CacheContext", None)
            defaults = {"residual_diff_threshold": getattr(context, "residual_diff_threshold", 0.0)}
            return settings_of(defaults | held_by(function).get("kwargs", {}))
        function = getattr(function, "__wrapped__", None)
    return {}


def _of_blocks(transformer: Any) -> Parameters:
    """Return the threshold where it is kept with the blocks, as in older versions."""
    blocks = held_by(vars(transformer).get("forward")).get("cached_transformer_blocks") or ()
    found = [getattr(block, "residual_diff_threshold", None) for block in blocks]
    return settings_of({"residual_diff_threshold": found[0]}) if found and found[0] is not None else {}
