"""Adapters on a model's layers: LoRA, by PEFT."""

from __future__ import annotations

from typing import Any

from bench.acceleration.detectors.parts import components
from bench.acceleration.detectors.settings import merged
from bench.acceleration.methods import Loaded, Parameters, acceleration_method


@acceleration_method(
    "lora",
    switched_on={"load_lora_weights": ("weights",)},
    switched_off=("unload_lora_weights",),
    packages=("peft",),
    changes=("weights", "layers"),
    only_told=("source", "names"),
    hidden_by="fused",
)
def lora(loaded: Loaded) -> Parameters | None:
    """Return rank and scale of each component's adapters, the number of fused ones, their names, and what the text loads.

    A name says nothing of what is computed.
    """
    found: Parameters = {}
    names: set[str] = set()
    for name, part in components(loaded.pipe):
        adapters = _adapters(part)
        if adapters is not None:
            found[name] = _without_names(adapters)
            names |= adapters.keys()
    fused = getattr(loaded.pipe, "fused_loras", None)
    if fused:
        found["fused"] = len(fused)
        names |= set(fused)
    if not found:
        return None
    # Where it came from is nowhere on the object.
    source = loaded.source.methods.get("lora", {}).get("weights")
    return found | {"names": sorted(names)} | ({} if source is None else {"source": source})


def _without_names(adapters: Parameters) -> Any:
    """Return the settings of one adapter, or a list of those of several."""
    settings = sorted(adapters.values(), key=repr)
    return settings[0] if len(settings) == 1 else settings


def _adapters(part: Any) -> Parameters | None:
    """Return the active adapters of a component by name; None where there are none, or they are switched off."""
    if not getattr(part, "_hf_peft_config_loaded", False):
        return None
    layers = [module for module in part.modules() if hasattr(module, "scaling") and hasattr(module, "lora_A")]
    if layers and all(getattr(layer, "_disable_adapters", False) for layer in layers):
        return None
    settings: dict[str, list[Parameters]] = {}
    for layer in layers:
        for adapter in _active(layer):
            settings.setdefault(adapter, []).append(
                {"rank": layer.r.get(adapter), "scale": round(float(layer.scaling[adapter]), 6)}
            )
    return {
        adapter: merged(entries) | {"modules": len(entries)} for adapter, entries in sorted(settings.items())
    }


def added_names(model: Any) -> tuple[str, ...]:
    """Return what the names of parameters and layers begin with that adapters have added to a model."""
    return tuple(
        f"{place}.{part}."
        for place, module in model.named_modules()
        for part in getattr(module, "adapter_layer_names", ())
    )


def unmerged(model: Any) -> dict[str, Any]:
    """Return the layers by name whose weight is completed by a LoRA each time that they run."""
    return {
        place: module
        for place, module in model.named_modules()
        if hasattr(module, "lora_A") and not getattr(module, "_disable_adapters", False)
    }


def share(layer: Any, index: int) -> float:
    """Return what the active LoRA of a layer add to one value of its weight.

    Args:
        layer: linear or convolutional, as PEFT wraps it; a share is a row of ``lora_B`` times a column of ``lora_A``.
        index: of the value in the flat weight.
    """
    total = 0.0
    for name in _active(layer):
        if name in layer.lora_A and name not in layer.merged_adapters:
            inner, outer = (part[name].weight.detach().flatten(1) for part in (layer.lora_A, layer.lora_B))
            row, column = divmod(index, inner.shape[1])
            total += float(layer.scaling[name]) * float(outer[row].double() @ inner[:, column].double())
    return total


def _active(layer: Any) -> list[str]:
    named = getattr(layer, "active_adapters", None) or list(layer.scaling)
    named = [named] if isinstance(named, str) else named
    return [name for name in named if name in layer.scaling]
