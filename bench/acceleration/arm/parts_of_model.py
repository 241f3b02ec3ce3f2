"""What a model is made of, by class, settings and weights, and never by the folder that it came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.acceleration.detectors.adapters import added_names, share, unmerged
from bench.acceleration.detectors.compiled import is_scripted, model_within
from bench.acceleration.detectors.parts import components, is_quantized
from bench.acceleration.protocol.messages import FREE_U, Part, json_value
from bench.core.names import content_hash

MAX_TENSORS, MAX_VALUES = 2000, 4
_NO_LIMIT = 2**31
# Settings that say where a model is from, with which version it was written, or what a method may change.
_NO_SETTINGS = frozenset(
    {
        "torch_dtype",
        "dtype",
        "transformers_version",
        "quantization_config",
        "attn_implementation",
        "architectures",
    }
)
_GUIDES = "diffusers.guiders"
# What wrappers put into the names of parameters.
_WRAPPERS = ("_orig_mod.", "base_layer.", "module.")


def parts_of(pipe: Any) -> dict[str, Part]:
    """Return what each component with weights is, each tokenizer, and what guides where a component does that."""
    held = vars(pipe).items()
    guides = {name: _guide(part) for name, part in held if _is_guide(part)}
    tokenizers = {name: _tokenizer(part) for name, part in held if _is_tokenizer(part)}
    return {name: _part(component) for name, component in components(pipe)} | tokenizers | guides


def _is_guide(part: Any) -> bool:
    return any(kind.__module__.startswith(_GUIDES) for kind in type(part).__mro__)


def _guide(guide: Any) -> Part:
    settings = settings_of(guide) or {}
    # A file may set the attribute, which is what counts, after it was made.
    now = {key: json_value(getattr(guide, key, value)) for key, value in settings.items()}
    return Part(class_name=type(guide).__name__, settings=now)


def _is_tokenizer(part: Any) -> bool:
    return hasattr(part, "model_max_length") and callable(getattr(part, "get_vocab", None))


def _tokenizer(tokenizer: Any) -> Part:
    """Return what a tokenizer makes of a text: slow and fast ones, of other classes, may do the same."""
    try:
        tokens = content_hash(tokenizer.get_vocab())
    except Exception:  # of a class of the file's own
        tokens = "unknown"
    # transformers has 1e30 for no limit.
    limit = min(int(tokenizer.model_max_length), _NO_LIMIT)
    return Part(class_name="a tokenizer", settings={"model_max_length": limit, "tokens": tokens})


def settings_of(thing: Any) -> dict[str, Any] | None:
    """Return the configuration of a model or scheduler, of diffusers or transformers; None where it has none."""
    config: Any = getattr(thing, "config", None)
    settings = config.to_dict() if hasattr(config, "to_dict") else config
    if not isinstance(settings, Mapping):
        return None
    return {
        str(key): json_value(value)
        for key, value in settings.items()
        if not str(key).startswith("_") and key not in _NO_SETTINGS
    }


def _part(component: Any) -> Part:
    whole = model_within(component)
    # TorchScript has no settings; a pipeline asks what stands around it.
    settings = settings_of(whole) or settings_of(component) or {}
    added, layers = added_names(whole), unmerged(whole)
    own = {
        name: value
        for name, value in whole.named_parameters()
        if value.is_floating_point() and not name.startswith(added)
    }
    named = {_plain(name): (name, value) for name, value in own.items()}
    return Part(
        class_name=_class_name(whole),
        settings=settings | _free_u(whole),
        parameters=sum(value.numel() for value in own.values()),
        weight_bytes=sum(map(_bytes_of, whole.parameters())) + sum(map(_packed_bytes, whole.modules())),
        weights={name: _sample(*named[name], layers) for name in _spread(sorted(named), MAX_TENSORS)},
    )


def _free_u(model: Any) -> dict[str, Any]:
    """Return the factors of FreeU, which a U-Net has in its blocks and not in its configuration."""
    blocks = getattr(model, "up_blocks", None)
    if not blocks or not hasattr(model, "enable_freeu"):
        return {}
    factors = {name: getattr(blocks[0], name, None) for name in ("s1", "s2", "b1", "b2")}
    return {FREE_U: json_value(factors) if None not in factors.values() else None}


def _class_name(module: Any) -> str:
    if is_scripted(module):
        return str(module.original_name)
    # A method may put a subclass of its own in place; the model is what it was before.
    own = next(
        (
            kind
            for kind in type(module).__mro__
            if kind.__module__.partition(".")[0] in ("diffusers", "transformers")
        ),
        type(module),
    )
    return own.__name__


def _plain(name: str) -> str:
    for wrapper in _WRAPPERS:
        name = name.replace(wrapper, "")
    return name


def _bytes_of(tensor: Any) -> int:
    """Return what a tensor takes: of a quantized one, what the tensors in it take."""
    if is_quantized(tensor) and hasattr(tensor, "__tensor_flatten__"):
        names, _ = tensor.__tensor_flatten__()
        return sum(_bytes_of(getattr(tensor, name)) for name in names)
    return int(tensor.numel() * tensor.element_size())


def _packed_bytes(module: Any) -> int:
    """Return what the weights of a quantized module of torch take, which are no parameters of it."""
    weight = getattr(module, "weight", None)
    if not type(module).__module__.startswith("torch.ao.nn.") or not callable(weight):
        return 0
    return _bytes_of(weight())


def _sample(name: str, tensor: Any, layers: Mapping[str, Any]) -> list[float]:
    """Return some values of a parameter, with what a LoRA adds to them that is not merged into them.

    Args:
        name: of the parameter.
        tensor: the parameter.
        layers: those with such a LoRA, by name.
    """
    if is_quantized(tensor):
        tensor = tensor.dequantize()
    flat = tensor.detach().reshape(-1)
    indices = _spread(range(flat.numel()), MAX_VALUES)
    layer = layers.get(name.removesuffix(".base_layer.weight"))
    return [float(flat[index]) + (0.0 if layer is None else share(layer, index)) for index in indices]


def _spread(items: Any, count: int) -> list[Any]:
    """Return at most so many items, evenly spread."""
    if len(items) <= count:
        return list(items)
    return [items[index * (len(items) - 1) // (count - 1)] for index in range(count)]
