"""Methods that change the precision of weights, their layout or place, what is compiled, or how images are decoded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.acceleration.detectors.compiled import is_compiled, model_within, runs_script
from bench.acceleration.detectors.parts import (
    components,
    components_with,
    hooks,
    modules,
)
from bench.acceleration.methods import Loaded, Parameters, acceleration_method


@acceleration_method("torch_compile", is_in_source=True, changes=(), shows="nothing")
def torch_compile(loaded: Loaded) -> Parameters | None:
    """Return the names of the compiled modules."""
    compiled = [
        f"{component}.{name}".rstrip(".")
        for component, part in components(loaded.pipe)
        for name, module in part.named_modules()
        if is_compiled(module)
    ]
    return {"modules": compiled} if compiled else None


@acceleration_method("torchscript", changes=(), shows="nothing")
def torchscript(loaded: Loaded) -> Parameters | None:
    """Return the names of the modules that torch.jit has traced or compiled, or that call one, without those within."""
    found: list[str] = []
    for component, part in components(loaded.pipe):
        for name, module in part.named_modules():
            place = f"{component}.{name}".rstrip(".")
            if not any(place.startswith(f"{outer}.") for outer in found) and runs_script(module):
                found.append(place)
    return {"modules": found} if found else None


@acceleration_method("precision", is_in_source=True, changes=("dtypes",))
def precision(loaded: Loaded) -> Parameters | None:
    """Return the dtypes of components that compute with fewer than 32 bits."""
    reduced = {str(dtype).removeprefix("torch.") for dtype in _computed(loaded.pipe) if dtype.itemsize < 4}
    return {"dtype": "+".join(sorted(reduced))} if reduced else None


def _computed(pipe: Any) -> Iterator[Any]:
    """Yield the dtype in which each component computes, by its first parameters that are not only stored in theirs."""
    cast = {
        id(module): hook.compute_dtype for module, name, hook in hooks(pipe) if name == "layerwise_casting"
    }
    for _, component in components(pipe):
        dtype = next(_dtypes(component, cast, None), None)
        if dtype is not None:
            yield dtype


def _dtypes(module: Any, cast: dict[int, Any], within: Any) -> Iterator[Any]:
    within = cast.get(id(module), within)
    for parameter in module.parameters(recurse=False):
        if parameter.is_floating_point():
            yield parameter.dtype if within is None else within
    for child in module.children():
        yield from _dtypes(child, cast, within)


@acceleration_method(
    "channels_last",
    changes=(),
    shows="nothing",
)
def channels_last(loaded: Loaded) -> Parameters | None:
    """Return the components whose convolutions keep the channels last."""
    found = components_with(loaded.pipe, lambda part: any(map(_has_channels_last, part.parameters())))
    return {"components": found} if found else None


def _has_channels_last(value: Any) -> bool:
    # Kernels of one pixel, or of one channel, have both layouts at once.
    if value.dim() not in (4, 5) or value.is_contiguous():
        return False
    import torch

    wanted = torch.channels_last if value.dim() == 4 else torch.channels_last_3d
    return bool(value.is_contiguous(memory_format=wanted))


@acceleration_method(
    "cpu_offload",
    switched_on=("enable_model_cpu_offload", "enable_sequential_cpu_offload"),
    switched_off=("remove_all_hooks",),
    changes=(),
    shows="nothing",
)
def cpu_offload(loaded: Loaded) -> Parameters | None:
    """Return how accelerate's hooks move weights to the device: whole components, or module by module."""
    kinds = {type(getattr(module, "_hf_hook", None)).__name__ for module in modules(loaded.pipe)}
    if "CpuOffload" in kinds:
        return {"by": "component"}
    moving = any(
        getattr(getattr(module, "_hf_hook", None), "offload", False) for module in modules(loaded.pipe)
    )
    return {"by": "module"} if moving else None


@acceleration_method("tiny_vae", changes=("vae",), is_in_source=False)
def tiny_vae(loaded: Loaded) -> Parameters | None:
    """Find a decoder that is distilled from the model's own, such as TAESD."""
    name = type(model_within(getattr(loaded.pipe, "vae", None))).__name__
    return {"class": name} if name.startswith("AutoencoderTiny") else None


@acceleration_method(
    "vae_tiling",
    switched_on=("enable_vae_tiling", "enable_tiling"),
    switched_off=("disable_vae_tiling", "disable_tiling"),
    changes=(),
    shows="nothing",
)
def vae_tiling(loaded: Loaded) -> Parameters | None:
    """Find a decoder that works in tiles."""
    return {} if getattr(getattr(loaded.pipe, "vae", None), "use_tiling", False) else None


@acceleration_method(
    "vae_slicing",
    switched_on=("enable_vae_slicing", "enable_slicing"),
    switched_off=("disable_vae_slicing", "disable_slicing"),
    changes=(),
    shows="nothing",
)
def vae_slicing(loaded: Loaded) -> Parameters | None:
    """Find a decoder that works in slices."""
    return {} if getattr(getattr(loaded.pipe, "vae", None), "use_slicing", False) else None
