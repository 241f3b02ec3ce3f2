"""Methods that change how attention is computed: ToMe, T-GATE, slices, xFormers, fused projections."""

from __future__ import annotations

import inspect
from typing import Any

from bench.acceleration.detectors.parts import components, modules, processors
from bench.acceleration.methods import Loaded, Parameters, acceleration_method

TGATE_PARAMETERS = ("gate_step", "sp_interval", "fi_interval", "warm_up")
_TOME_PARAMETERS = ("ratio", "max_downsample", "sx", "sy", "merge_attn", "merge_crossattn", "merge_mlp")


@acceleration_method("tome", packages=("tomesd",), is_in_source=True, changes=())
def tome(loaded: Loaded) -> Parameters | None:
    """Return the parameters of ToMe's patch."""
    unet = getattr(loaded.pipe, "unet", None)
    information = getattr(unet, "_tome_info", None)
    if unet is None or not information or not information["hooks"]:
        return None  # remove_patch() leaves the information, without hooks
    patched = sum(type(module).__name__ == "ToMeBlock" for module in unet.modules())
    if not patched:
        return None
    given = information["args"]
    return {key: given[key] for key in _TOME_PARAMETERS if key in given} | {"patched_blocks": patched}


@acceleration_method("tgate", packages=("tgate",), is_in_source=True)
def tgate(loaded: Loaded) -> Parameters | None:
    """Return the parameters of T-GATE where its own entry point generates."""
    entry = vars(loaded.pipe).get("tgate")
    if entry is None or not getattr(entry, "__module__", "").startswith("tgate"):
        return None
    if loaded.entry == "tgate":
        given = loaded.arguments
    elif loaded.entry == "generate" and _ran_tgate(loaded.pipe):
        given = loaded.source.methods.get("tgate", {})
    else:
        return None  # the loader adds pipe.tgate(); pipe(...) itself stays as it was
    defaults = tgate_defaults(entry)
    return defaults | {key: value for key, value in given.items() if key in defaults}


def tgate_defaults(function: Any) -> Parameters:
    """Return the default arguments of T-GATE's entry point that steer the method."""
    parameters = inspect.signature(function).parameters
    return {name: parameters[name].default for name in TGATE_PARAMETERS if name in parameters}


def _ran_tgate(pipe: Any) -> bool:
    # pipe.tgate() replaces the forward of attention layers at every step, and leaves it replaced.
    return any(
        getattr(vars(module).get("forward"), "__module__", "").startswith("tgate") for module in modules(pipe)
    )


@acceleration_method(
    "attention_slicing",
    switched_on={"enable_attention_slicing": ("slice_size",), "set_attention_slice": ("slice_size",)},
    switched_off=("disable_attention_slicing",),
    changes=(),
)
def attention_slicing(loaded: Loaded) -> Parameters | None:
    """Return the slice size."""
    for processor in processors(loaded.pipe):
        if "Sliced" in type(processor).__name__:
            return {"slice_size": getattr(processor, "slice_size", None)}
    return None


@acceleration_method(
    "xformers",
    switched_on={"enable_xformers_memory_efficient_attention": ("attention_op",)},
    switched_off=("disable_xformers_memory_efficient_attention",),
    changes=(),
)
def xformers(loaded: Loaded) -> Parameters | None:
    """Find a processor of xFormers."""
    is_there = any("XFormers" in type(processor).__name__ for processor in processors(loaded.pipe))
    return {} if is_there else None


@acceleration_method(
    "fused_qkv",
    switched_on=("fuse_qkv_projections",),
    switched_off=("unfuse_qkv_projections",),
    changes=("layers",),
)
def fused_qkv(loaded: Loaded) -> Parameters | None:
    """Return the components whose projections are fused."""
    fused = sorted(
        name
        for name, component in components(loaded.pipe)
        if any(_is_fused(module) for module in component.modules())
    )
    return {"components": fused} if fused else None


def _is_fused(module: Any) -> bool:
    if hasattr(module, "unfuse_projections"):
        return module.fused_projections is True
    # Attention of the older kind keeps its flag when it is unfused; only its processor changes back.
    return type(getattr(module, "processor", None)).__name__.startswith("Fused")
