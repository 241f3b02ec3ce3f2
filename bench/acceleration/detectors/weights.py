"""Methods that change weights, their precision, what is compiled, or how images are decoded."""

from __future__ import annotations

from bench.acceleration.detectors.parts import components, dtypes, is_compiled
from bench.acceleration.methods import Loaded, Parameters, acceleration_method


@acceleration_method("torch_compile", is_in_source=True, changes=())
def torch_compile(loaded: Loaded) -> Parameters | None:
    """Return the names of the compiled modules."""
    compiled = [
        f"{component}.{name}".rstrip(".")
        for component, part in components(loaded.pipe)
        for name, module in part.named_modules()
        if is_compiled(module)
    ]
    return {"modules": compiled} if compiled else None


@acceleration_method("precision", is_in_source=True, changes=())
def precision(loaded: Loaded) -> Parameters | None:
    """Return the dtypes of components that have fewer than 32 bits."""
    reduced = {
        str(dtype).removeprefix("torch.") for dtype in dtypes(loaded.pipe).values() if dtype.itemsize < 4
    }
    return {"dtype": "+".join(sorted(reduced))} if reduced else None


@acceleration_method("quantized", is_in_source=True, changes=("weights", "layers"))
def quantized(loaded: Loaded) -> Parameters | None:
    """Return the quantization method of each quantized component."""
    found = {
        name: str(getattr(part, "quantization_method", "unknown"))
        for name, part in components(loaded.pipe)
        if getattr(part, "is_quantized", False) or getattr(part, "hf_quantizer", None) is not None
    }
    return found or None


@acceleration_method(
    "lora",
    switched_on={"load_lora_weights": ("weights",)},
    switched_off=("unload_lora_weights",),
    changes=("weights", "layers"),
)
def lora(loaded: Loaded) -> Parameters | None:
    """Return the components that have adapters, and the names of fused ones."""
    adapters: Parameters = {
        name: True for name, part in components(loaded.pipe) if getattr(part, "_hf_peft_config_loaded", False)
    }
    fused = getattr(loaded.pipe, "fused_loras", None)
    return adapters | ({"fused": sorted(fused)} if fused else {}) or None


@acceleration_method(
    "vae_tiling",
    switched_on=("enable_vae_tiling", "enable_tiling"),
    switched_off=("disable_vae_tiling", "disable_tiling"),
    changes=(),
)
def vae_tiling(loaded: Loaded) -> Parameters | None:
    """Find a decoder that works in tiles."""
    return {} if getattr(getattr(loaded.pipe, "vae", None), "use_tiling", False) else None


@acceleration_method(
    "vae_slicing",
    switched_on=("enable_vae_slicing", "enable_slicing"),
    switched_off=("disable_vae_slicing", "disable_slicing"),
    changes=(),
)
def vae_slicing(loaded: Loaded) -> Parameters | None:
    """Find a decoder that works in slices."""
    return {} if getattr(getattr(loaded.pipe, "vae", None), "use_slicing", False) else None
