"""What is really in place on a loaded pipeline: its class, model, scheduler and acceleration methods.

Every detector is one function of the pipeline that returns the method's parameters, or None where the
method is not there. Registering one is all that a new method needs. Names are those that
:mod:`bench.acceleration.source.reading` gives to what it reads in the text.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.acceleration.arm.loading import LoadedPipeline, tgate_defaults
from bench.acceleration.arm.observation import is_compiled

Detector = Callable[[LoadedPipeline], dict[str, Any] | None]
DETECTORS: dict[str, Detector] = {}

# Hooks of diffusers that accelerate, by the method they belong to.
_DIFFUSERS_HOOKS = {
    "fbc_leader_block_hook": ("first_block_cache", ("threshold",)),
    "fbc_block_hook": ("first_block_cache", ("threshold",)),
    "taylorseer_cache": (
        "taylorseer", ("cache_interval", "disable_cache_before_step", "disable_cache_after_step"),
    ),
    "mag_cache_leader_block_hook": ("mag_cache", ("threshold",)),
    "mag_cache_block_hook": ("mag_cache", ("threshold",)),
    "pyramid_attention_broadcast": ("pab", ("block_skip_range", "timestep_skip_range")),
    "faster_cache_denoiser": ("faster_cache", ("unconditional_batch_skip_range",)),
    "faster_cache_block": ("faster_cache", ("block_skip_range",)),
    "layer_skip_hook": ("layer_skip", ("dropout",)),
    "layerwise_casting": ("layerwise_casting", ("storage_dtype", "compute_dtype")),
    "sea_cache_root": ("sea_cache", ("threshold", "residual_order", "max_consecutive_cached")),
    "text_kv_cache_transformer": ("text_kv_cache", ()),
}  # fmt: skip
# Code below these packages is the pipeline's own machinery, not a patch.
_KNOWN_PACKAGES = (
    "torch",
    "diffusers",
    "transformers",
    "accelerate",
    "bench",
    "DeepCache",
    "tomesd",
    "tgate",
)


def detector(name: str) -> Callable[[Detector], Detector]:
    """Register a detector under a method's name; a name taken twice is refused."""

    def register(function: Detector) -> Detector:
        if name in DETECTORS:
            raise ValueError(f"a detector for {name!r} is registered already: {DETECTORS[name]}")
        DETECTORS[name] = function
        return function

    return register


def describe(loaded: LoadedPipeline) -> dict[str, Any]:
    """Return the observed configuration as plain builtins.

    Keys: ``pipeline_class``, ``model_id``, ``scheduler_class``, ``entry_point``, ``methods`` (name to
    parameters), ``dtypes`` (component to parameter dtype).
    """
    methods, scheduler = {}, getattr(loaded.pipe, "scheduler", None)
    for name, detect in DETECTORS.items():
        found = detect(loaded)
        if found is not None:
            methods[name] = {key: plain(value) for key, value in found.items()}
    magcache_script = _script_cache(loaded, "magcache_forward", ("magcache_thresh", "K", "retention_ratio"))
    if magcache_script is not None:
        methods["mag_cache"] = {key: plain(value) for key, value in magcache_script.items()}
    for name, found in diffusers_hooks(loaded.pipe).items():
        methods.setdefault(name, found)
    return {
        "pipeline_class": type(loaded.pipe).__name__,
        "model_id": model_id(loaded.pipe),
        "scheduler_class": None if scheduler is None else type(scheduler).__name__,
        "entry_point": loaded.entry,
        "methods": methods,
        "dtypes": {name: str(dtype).removeprefix("torch.") for name, dtype in dtypes(loaded.pipe).items()},
    }


def model_id(pipe: Any) -> str | None:
    """Return the hub name or the resolved local directory that the pipeline was loaded from."""
    name = getattr(pipe, "name_or_path", None) or getattr(pipe, "config", {}).get("_name_or_path")
    if not name:
        return None
    return str(Path(name).resolve()) if Path(name).is_dir() else str(name)


def modules(pipe: Any) -> Iterator[tuple[str, Any]]:
    """Yield every component that has parameters, with its name."""
    for name, component in pipe.components.items():
        if hasattr(component, "named_modules"):
            yield name, component


def dtypes(pipe: Any) -> dict[str, Any]:
    """Return the dtype of each component's first floating-point parameter."""
    found = {}
    for name, component in modules(pipe):
        dtype = next((p.dtype for p in component.parameters() if p.is_floating_point()), None)
        if dtype is not None:
            found[name] = dtype
    return found


@detector("deepcache")
def _deepcache(loaded: LoadedPipeline) -> dict[str, Any] | None:
    unet = getattr(loaded.pipe, "unet", None)
    # A compiled wrapper has no truth value, and hides the attributes of what it wraps.
    forward: Any = vars(getattr(unet, "_orig_mod", object if unet is None else unet)).get("forward")
    if "DeepCacheSDHelper" not in getattr(forward, "__qualname__", ""):
        return None  # disable() leaves an instance attribute too, but the original function in it
    helper = inspect.getclosurevars(forward).nonlocals.get("self")
    return dict(getattr(helper, "params", {}))


@detector("tome")
def _tome(loaded: LoadedPipeline) -> dict[str, Any] | None:
    unet: Any = getattr(loaded.pipe, "unet", None)
    information = getattr(unet, "_tome_info", None)
    if not information or not information["hooks"]:
        return None  # remove_patch() leaves the information, without hooks
    patched = sum(type(module).__name__ == "ToMeBlock" for module in unet.modules())
    if not patched:
        return None
    wanted = ("ratio", "max_downsample", "sx", "sy", "merge_attn", "merge_crossattn", "merge_mlp")
    return {key: information["args"][key] for key in wanted if key in information["args"]} | {
        "patched_blocks": patched
    }


@detector("tgate")
def _tgate(loaded: LoadedPipeline) -> dict[str, Any] | None:
    entry = vars(loaded.pipe).get("tgate")
    if entry is None or not getattr(entry, "__module__", "").startswith("tgate"):
        return None
    if loaded.entry == "tgate":
        given = loaded.arguments
    elif loaded.entry == "generate" and _ran_tgate(loaded):
        given = loaded.source.methods.get("tgate", {})
    else:
        return None  # the loader adds pipe.tgate(); pipe(...) itself stays as it was
    defaults = tgate_defaults(entry)
    return defaults | {key: value for key, value in given.items() if key in defaults}


def _ran_tgate(loaded: LoadedPipeline) -> bool:
    # pipe.tgate() replaces the forward of attention layers at every step, and leaves it replaced.
    return any(
        getattr(vars(module).get("forward"), "__module__", "").startswith("tgate")
        for _, component in modules(loaded.pipe)
        for module in component.modules()
    )


@detector("torch_compile")
def _torch_compile(loaded: LoadedPipeline) -> dict[str, Any] | None:
    compiled = [
        f"{component}.{name}".rstrip(".")
        for component, part in modules(loaded.pipe)
        for name, module in part.named_modules()
        if is_compiled(module)
    ]
    return {"modules": compiled} if compiled else None


@detector("precision")
def _precision(loaded: LoadedPipeline) -> dict[str, Any] | None:
    reduced = {
        str(dtype).removeprefix("torch.") for dtype in dtypes(loaded.pipe).values() if dtype.itemsize < 4
    }
    return {"dtype": "+".join(sorted(reduced))} if reduced else None


@detector("attention_slicing")
def _attention_slicing(loaded: LoadedPipeline) -> dict[str, Any] | None:
    for processor in _processors(loaded):
        if "Sliced" in type(processor).__name__:
            return {"slice_size": getattr(processor, "slice_size", None)}
    return None


def _processors(loaded: LoadedPipeline) -> Iterator[Any]:
    for _, component in modules(loaded.pipe):
        for module in component.modules():
            yield getattr(module, "processor", None)


@detector("xformers")
def _xformers(loaded: LoadedPipeline) -> dict[str, Any] | None:
    return {} if any("XFormers" in type(processor).__name__ for processor in _processors(loaded)) else None


@detector("fused_qkv")
def _fused_qkv(loaded: LoadedPipeline) -> dict[str, Any] | None:
    fused = sorted(
        name
        for name, component in modules(loaded.pipe)
        if any(_is_fused(module) for module in component.modules())
    )
    return {"components": fused} if fused else None


def _is_fused(module: Any) -> bool:
    if hasattr(module, "unfuse_projections"):
        return module.fused_projections is True
    # Attention of the older kind keeps its flag when it is unfused; only its processor changes back.
    return type(getattr(module, "processor", None)).__name__.startswith("Fused")


@detector("vae_tiling")
def _vae_tiling(loaded: LoadedPipeline) -> dict[str, Any] | None:
    return {} if getattr(getattr(loaded.pipe, "vae", None), "use_tiling", False) else None


@detector("vae_slicing")
def _vae_slicing(loaded: LoadedPipeline) -> dict[str, Any] | None:
    return {} if getattr(getattr(loaded.pipe, "vae", None), "use_slicing", False) else None


@detector("teacache")
def _teacache(loaded: LoadedPipeline) -> dict[str, Any] | None:
    return _script_cache(loaded, "teacache_forward", ("rel_l1_thresh", "num_steps", "enable_teacache"))


def _script_cache(
    loaded: LoadedPipeline, function: str, parameters: tuple[str, ...]
) -> dict[str, Any] | None:
    # Published as scripts that replace the forward of the transformer's class and keep settings there.
    transformer = getattr(loaded.pipe, "transformer", None)
    if getattr(type(transformer).forward if transformer is not None else None, "__name__", "") != function:
        return None
    return {name: getattr(transformer, name) for name in parameters if hasattr(transformer, name)}


@detector("quantized")
def _quantized(loaded: LoadedPipeline) -> dict[str, Any] | None:
    found = {
        name: str(getattr(part, "quantization_method", "unknown"))
        for name, part in modules(loaded.pipe)
        if getattr(part, "is_quantized", False) or getattr(part, "hf_quantizer", None) is not None
    }
    return found or None


@detector("lora")
def _lora(loaded: LoadedPipeline) -> dict[str, Any] | None:
    adapters = {
        name: True for name, part in modules(loaded.pipe) if getattr(part, "_hf_peft_config_loaded", False)
    }
    fused = getattr(loaded.pipe, "fused_loras", None)
    return adapters | ({"fused": sorted(fused)} if fused else {}) or None


@detector("cache_dit")
def _cache_dit(loaded: LoadedPipeline) -> dict[str, Any] | None:
    return _context_cache(loaded, managed=True)


@detector("para_attn")
def _para_attn(loaded: LoadedPipeline) -> dict[str, Any] | None:
    return _context_cache(loaded, managed=False)


def _context_cache(loaded: LoadedPipeline, *, managed: bool) -> dict[str, Any] | None:
    # cache-dit began as a fork of para-attn: both mark the transformer, only cache-dit manages contexts.
    if not getattr(getattr(loaded.pipe, "transformer", None), "_is_cached", False):
        return None
    if hasattr(loaded.pipe, "_context_manager") != managed:
        return None
    return dict(getattr(loaded.pipe, "_context_kwargs", {}) or {})


@detector("patched_forward")
def _patched_forward(loaded: LoadedPipeline) -> dict[str, Any] | None:
    """Catch what no other detector knows: a forward whose code lies outside the known packages."""
    files = set()
    for _, component in modules(loaded.pipe):
        for module in component.modules():
            file = _foreign_forward(module)
            if file is not None:
                files.add(file)
    return {"files": sorted(files)} if files else None


def _foreign_forward(module: Any) -> str | None:
    forward: Any = module.forward
    for _ in range(20):  # through partials and decorators, also where one leads back to itself
        forward = getattr(forward, "func", forward)
        function = forward if hasattr(forward, "__globals__") else type(forward).__call__
        # functools.wraps() copies __module__ from what is wrapped; the globals are the function's own.
        package = getattr(function, "__globals__", {}).get("__name__", "").partition(".")[0]
        if package and package not in _KNOWN_PACKAGES:
            return Path(function.__code__.co_filename).name
        forward = getattr(forward, "__wrapped__", None)
        if forward is None:
            break
    return None


def diffusers_hooks(pipe: Any) -> dict[str, dict[str, Any]]:
    """Return the acceleration methods that put diffusers hooks on any module, with their parameters."""
    found: dict[str, dict[str, Any]] = {}
    for _, component in modules(pipe):
        for module in component.modules():
            registry = getattr(module, "_diffusers_hook", None)
            for name, hook in getattr(registry, "hooks", {}).items():
                known = _DIFFUSERS_HOOKS.get(name)
                if known is not None:
                    method, parameters = known
                    holder = getattr(hook, "config", hook)
                    found.setdefault(method, {}).update(
                        {key: plain(getattr(holder, key)) for key in parameters if hasattr(holder, key)}
                    )
    return found


def plain(value: Any) -> Any:
    """Return a value as something JSON can hold; what it cannot is given as its text."""
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return str(value)
