"""Weights of fewer bits: what a component says of itself, classes of modules, and classes of tensors."""

from __future__ import annotations

from collections import Counter
from typing import Any

from bench.acceleration.detectors.parts import components, is_quantized
from bench.acceleration.detectors.settings import plain, settings_of
from bench.acceleration.methods import Loaded, Parameters, acceleration_method

# Modules that hold or compute with integers, by the package of their class, with the name of what made them.
_MODULES = {
    "optimum.quanto.": "quanto",
    "quanto.": "quanto",
    "torch.ao.nn.": "torch.ao",
    "torchao.": "torchao",
    "bitsandbytes.": "bitsandbytes",
}


@acceleration_method(
    "quantized",
    packages=("torchao", "optimum", "quanto", "bitsandbytes"),
    is_in_source=True,
    changes=("weights", "layers"),
)
def quantized(loaded: Loaded) -> Parameters | None:
    """Return what quantized each quantized component, and how."""
    found = {name: how for name, part in components(loaded.pipe) if (how := _quantized(part))}
    return found or None


def _quantized(part: Any) -> Parameters:
    said, layers = _said_by(part), _layers_of(part)
    if not said and not layers:
        return {}
    method = said.pop("method", None) or "+".join(sorted({name for name, _ in layers}))
    listed = {kind: layers[(name, kind)] for name, kind in sorted(layers)}
    return {"method": method, **said, **({"layers": listed} if listed else {})}


def _said_by(part: Any) -> Parameters:
    """Return what the library that loaded a component has noted on it."""
    quantizer = getattr(part, "hf_quantizer", None)
    if not getattr(part, "is_quantized", False) and quantizer is None:
        return {}
    config = getattr(quantizer, "quantization_config", None)
    method = getattr(part, "quantization_method", None) or getattr(config, "quant_method", None)
    found = {"method": "unknown" if method is None else str(plain(method))}
    return found if config is None else {**found, "config": settings_of(config)}


def _layers_of(part: Any) -> Counter[tuple[str, str]]:
    """Count the quantized modules of a component by what made them and by how they are kept."""
    found: Counter[tuple[str, str]] = Counter()
    for module in part.modules():
        made_by = _maker(type(module))
        tensors = {type(value): value for value in module.parameters(recurse=False) if is_quantized(value)}
        if made_by is not None and _has_weights(module):
            found[made_by, _bits(module)] += 1
        elif tensors:
            kind, tensor = next(iter(tensors.items()))
            found[_maker(kind) or "torch", _kept_as(tensor)] += 1
    return found


def _maker(kind: type) -> str | None:
    place = f"{kind.__module__}."
    return next((name for start, name in _MODULES.items() if place.startswith(start)), None)


def _has_weights(module: Any) -> bool:
    # Packed weights are an attribute; what only packs them is a module without any.
    return hasattr(module, "weight")


def _bits(module: Any) -> str:
    """Return the class of a module and, where it says so, the types of its weights and activations."""
    types = [
        str(getattr(kind, "name", kind))
        for name in ("weight_qtype", "activation_qtype")
        if (kind := getattr(module, name, None)) is not None
    ]
    if callable(getattr(module, "weight", None)):  # a quantized module of torch
        types = [str(module.weight().dtype).removeprefix("torch.")]
    return " ".join([type(module).__name__, *types])


def _kept_as(tensor: Any) -> str:
    """Return the class of a tensor and, where there is one, that of the tensor in it, with the dtype of its numbers.

    A tensor of torchao for dynamic quantization holds the weight's own tensor, and says how activations are treated.
    """
    inner = getattr(tensor, "original_weight_tensor", None)
    names = [type(tensor).__name__, *([type(inner).__name__] if inner is not None else [])]
    held = tensor if inner is None else inner
    numbers = next(
        (
            value
            for name in ("qdata", "_data", "int_data")
            if (value := getattr(held, name, None)) is not None
        ),
        None,
    )
    dtype = [] if numbers is None else [str(numbers.dtype).removeprefix("torch.")]
    dynamic = (
        ["dynamic"] if inner is not None or getattr(tensor, "act_quant_kwargs", None) is not None else []
    )
    return " ".join([*names, *dtype, *dynamic])
