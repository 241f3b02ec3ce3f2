"""Methods that change how attention is computed: ToMe, T-GATE, slices, xFormers, backends, fused projections."""

from __future__ import annotations

import inspect
from typing import Any

from bench.acceleration.detectors.parts import components, components_with, modules, processors
from bench.acceleration.methods import Loaded, Parameters, acceleration_method

TGATE_PARAMETERS = ("gate_step", "sp_interval", "fi_interval", "warm_up")
_PROJECTIONS = frozenset(
    {"to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj", "q_proj", "k_proj", "v_proj"}
)
_FUSED = frozenset({"to_qkv", "to_kv", "to_added_qkv", "to_added_kv"})
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


@acceleration_method("tgate", packages=("tgate",), is_in_source=True, shows="work")
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
    shows="nothing",
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
    shows="nothing",
)
def xformers(loaded: Loaded) -> Parameters | None:
    """Find a processor of xFormers."""
    is_there = any("XFormers" in type(processor).__name__ for processor in processors(loaded.pipe))
    return {} if is_there else None


@acceleration_method(
    "attention_backend",
    switched_on={"set_attention_backend": ("backend",)},
    switched_off=("reset_attention_backend",),
    packages=("sageattention", "flash_attn", "xformers"),
    changes=(),
    shows="nothing",
)
def attention_backend(loaded: Loaded) -> Parameters | None:
    """Return the backends of diffusers that compute attention, and what stands in the place of torch's own function."""
    found = {
        name: backends[0] if len(backends) == 1 else backends
        for name, part in components(loaded.pipe)
        if (backends := sorted(_backends(part)))
    }
    replaced = _replaced_attention()
    return (found | ({} if replaced is None else {"scaled_dot_product_attention": replaced})) or None


def _backends(part: Any) -> set[str]:
    """Return the backends of a component's processors, but for torch's own choice."""
    found = set()
    for module in part.modules():
        processor = getattr(module, "processor", None)
        if processor is not None and hasattr(processor, "_attention_backend"):
            chosen = processor._attention_backend or _active_backend()
            found.add(str(getattr(chosen, "value", chosen)))
    return found - {"native"}


def _active_backend() -> Any:
    """Return the backend of all processors that name none; choosing one for any model makes it this one."""
    from diffusers.models import attention_dispatch

    return attention_dispatch._AttentionBackendRegistry._active_backend


def _replaced_attention() -> str | None:
    import torch

    function = torch.nn.functional.scaled_dot_product_attention
    if function is torch._C._nn.scaled_dot_product_attention:
        return None
    return (
        f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__name__)}"
    )


@acceleration_method(
    "fused_qkv",
    switched_on=("fuse_qkv_projections",),
    switched_off=("unfuse_qkv_projections",),
    changes=("layers",),
    shows="work",
)
def fused_qkv(loaded: Loaded) -> Parameters | None:
    """Return the components whose projections are fused."""
    fused = components_with(loaded.pipe, lambda component: any(map(_is_fused, component.modules())))
    return {"components": fused} if fused else None


def is_stood_in_for(module: Any, layer: str) -> bool:
    """Whether another layer of an attention, with the same weights, computes what this one would."""
    if (
        layer in _FUSED
    ):  # what is unfused keeps them; where there are no others, they are what the model is made of
        return hasattr(module, "to_k") and not _is_fused(module)
    return layer in _PROJECTIONS and _is_fused(module)


def _is_fused(module: Any) -> bool:
    if hasattr(module, "unfuse_projections"):
        return module.fused_projections is True
    # Attention of the older kind keeps its flag when it is unfused; only its processor changes back.
    return type(getattr(module, "processor", None)).__name__.startswith("Fused")
