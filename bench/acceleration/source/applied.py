"""The acceleration methods that a pipeline file's source applies, with the parameters written there.

Reading says what the author meant to apply. Only the loaded object shows whether it has an effect: many of these calls
succeed and change nothing.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.acceleration.detectors.attention import TGATE_PARAMETERS
from bench.acceleration.detectors.shipped import METHODS
from bench.acceleration.methods import LIBRARIES, Parameters
from bench.acceleration.source.names import Frame, dotted, source_text
from bench.acceleration.source.origin import Resolver
from bench.acceleration.source.values import UNKNOWN
from bench.core.record import plain_problems

# An empty name is an argument that is no parameter of the method: the module that it is applied to.
TOME_PARAMETERS = ("", "ratio", "max_downsample", "sx", "sy", "use_rand", "merge_attn",
                   "merge_crossattn", "merge_mlp")  # fmt: skip
DEEPCACHE_PARAMETERS = ("cache_interval", "cache_branch_id", "skip_mode")
COMPILERS = frozenset({"torch.compile", "accelerate.utils.compile_regions"})
PRECISIONS = {"half": "float16", "float16": "float16", "fp16": "float16", "bfloat16": "bfloat16"}
FULL_PRECISIONS = frozenset({"float", "float32", "double", "float64", "auto"})


@dataclass(frozen=True, slots=True)
class MethodCalls:
    """What the registered methods say of the calls that concern them, by the last part of a call's name.

    Attributes:
        on: methods that a call applies, each with the names of its positional parameters.
        off: methods that a call takes back.
        functions: methods that a function applies to a module, with a configuration.
        configurations: methods by the class of their configuration.
    """

    on: Mapping[str, list[tuple[str, tuple[str, ...]]]]
    off: Mapping[str, list[str]]
    functions: Mapping[str, list[str]]
    configurations: Mapping[str, str]

    @classmethod
    def registered(cls) -> MethodCalls:
        """Return the calls of all methods that are registered now."""
        return _calls_of(tuple(METHODS))


@functools.lru_cache(maxsize=4)
def _calls_of(names: tuple[str, ...]) -> MethodCalls:
    on: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    off: dict[str, list[str]] = {}
    functions: dict[str, list[str]] = {}
    configurations: dict[str, str] = {}
    for name in names:
        method = METHODS[name]
        for call, positional in method.switched_on.items():
            on.setdefault(call, []).append((name, positional))
        for call in method.switched_off:
            off.setdefault(call, []).append(name)
        for call in method.applied_by:
            functions.setdefault(call, []).append(name)
        configurations |= dict.fromkeys(method.configured_by, name)
    return MethodCalls(on, off, functions, configurations)


def known_packages() -> frozenset[str]:
    """Return the packages whose calls on a pipeline are known for what they apply."""
    return LIBRARIES.union(*(METHODS[name].packages for name in METHODS))


@dataclass(slots=True)
class CallSite:
    """One call of the file.

    Attributes:
        order: position among the statements of the file.
        node: the call.
        frame: scope in which it stands.
        live: whether loading the file reaches it.
        at_load: whether it runs while the file is loaded, and not only while generating.
        certain: whether it runs whenever its function does, under no condition.
    """

    order: int
    node: ast.Call
    frame: Frame
    live: bool = True
    at_load: bool = True
    certain: bool = True


@dataclass
class MethodReader:
    """Goes through a file's calls in source order and keeps what is applied after the last one.

    Attributes:
        applied: methods by name, with their parameters.
        unsure: methods that the text applies, or takes back, under a condition, or with values that it leaves open.
        may_hide: whether a call may apply methods that the text does not name.
    """

    resolver: Resolver
    is_pipeline: Callable[[ast.expr, Frame, int], bool]
    applied: dict[str, Parameters] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)
    may_hide: bool = False
    _calls: MethodCalls = field(default_factory=MethodCalls.registered)
    _helpers: dict[str, Parameters] = field(default_factory=dict)
    _enabled: set[str] = field(default_factory=set)
    _tgate_calls: int = 0

    def read(self, sites: Iterable[CallSite]) -> dict[str, Parameters]:
        """Method name -> parameters, in alphabetical order."""
        for site in sites:
            function = site.node.func
            name = function.attr if isinstance(function, ast.Attribute) else ""
            if isinstance(function, ast.Name):
                real = self.resolver.imports.get(function.id, function.id)
                name = real.rpartition(".")[2]
            if not site.live and name != "tgate":  # the entry call may stand where loading does not come
                continue
            self.may_hide = self.may_hide or self._hides(site)
            before = self._in_place()
            self._read_call(site, name)
            if not site.certain:
                self.unsure |= before ^ self._in_place()
        if self._enabled:
            enabled: Parameters = {}
            for helper in sorted(self._enabled):
                enabled |= self._helpers.get(helper, {})
            self.applied["deepcache"] = {**self.applied.get("deepcache", {}), **enabled}
        if not self._tgate_calls:  # the loader alone leaves pipe(...) as it was
            self.applied.pop("tgate", None)
        return dict(sorted(self.applied.items()))

    def _hides(self, site: CallSite) -> bool:
        """Whether a call is on a name that is made up when it runs, or hands the pipeline to a module of somebody else's."""
        function = site.node.func
        if isinstance(function, ast.Call):
            return dotted(function.func) == "getattr"
        package = self.real_name(function, site).partition(".")[0]
        imported = {name.partition(".")[0] for name in self.resolver.imports.values()}
        if package not in imported - known_packages():
            return False
        return any(self.on_pipeline(argument, site) for argument in site.node.args)

    def _read_call(self, site: CallSite, name: str) -> None:
        reader = READERS.get(name)
        if reader is not None:
            reader(self, site, name)
        elif name.startswith("Tgate") and name.endswith("Loader"):
            self.read_tgate_loader(site, name)
        self.read_registered(site, name)

    def _in_place(self) -> set[str]:
        return {*self.applied, *(("deepcache",) if self._enabled else ())}

    def value(self, node: ast.expr, site: CallSite) -> Any:
        """The constant, else the source text; a constant that JSON cannot hold, such as ``2j``, is none."""
        constant = self.resolver.constant(node, site.frame, site.order)
        if isinstance(constant, Path):
            return str(constant)
        return source_text(node) if constant is UNKNOWN or plain_problems(constant) else constant

    def parameters(self, call: ast.Call, site: CallSite, positional: tuple[str, ...] = ()) -> Parameters:
        """The arguments of a call by name; a ``**name`` of a constant dict is spelled out."""
        found = {
            name: self.value(node, site) for name, node in zip(positional, call.args, strict=False) if name
        }
        for keyword in call.keywords:
            value = self.value(keyword.value, site)
            if keyword.arg is not None:
                found[keyword.arg] = value
            elif isinstance(value, Mapping):
                found |= {str(name): item for name, item in value.items()}
            else:
                found[f"**{value}"] = value
        return found

    def real_name(self, node: ast.expr, site: CallSite) -> str:
        return self.resolver.real_name(node, site.frame, site.order) or ""

    def on_pipeline(self, node: ast.expr, site: CallSite) -> bool:
        """Whether the expression is the pipeline or a component of it."""
        while isinstance(node, ast.Attribute):
            if self.is_pipeline(node, site.frame, site.order):
                return True
            node = node.value
        return self.is_pipeline(node, site.frame, site.order)

    def read_registered(self, site: CallSite, name: str) -> None:
        """Apply and take back the methods that name this call."""
        for method, positional in self._calls.on.get(name, ()):
            self.applied[method] = self.parameters(site.node, site, positional)
        if len(site.node.args) > 1 or site.node.keywords:  # a module and its configuration
            for method in self._calls.functions.get(name, ()):
                self.applied[method] = self._config(site) or {}
        if site.at_load:
            for method in self._calls.off.get(name, ()):
                self.applied.pop(method, None)

    def read_enable_cache(self, site: CallSite, name: str) -> None:
        """``pipe.transformer.enable_cache(Config(...))``, and the function of cache-dit."""
        function = site.node.func
        if self.real_name(function, site).startswith("cache_dit."):
            self.applied["cache_dit"] = self.parameters(site.node, site)
            return
        argument = next(iter([*site.node.args, *(keyword.value for keyword in site.node.keywords)]), None)
        origin = self.resolver.origin(argument, site.frame, site.order)
        method = None if origin is None else self._calls.configurations.get(origin.class_name)
        if method is not None:
            self.applied[method] = self._config(site) or {}

    def _config(self, site: CallSite) -> Parameters | None:
        """The parameters of the configuration object among a call's arguments."""
        for argument in [*site.node.args, *(keyword.value for keyword in site.node.keywords)]:
            origin = self.resolver.origin(argument, site.frame, site.order)
            if origin is not None and origin.class_name in self._calls.configurations:
                made_at = CallSite(origin.at, origin.call, origin.frame)
                return self.parameters(origin.call, made_at)
        return None

    def read_tome(self, site: CallSite, name: str) -> None:
        if not self.real_name(site.node.func, site).startswith("tomesd"):
            return
        if name == "apply_patch":
            self.applied["tome"] = self.parameters(site.node, site, TOME_PARAMETERS)
            self.applied["tome"].pop("model", None)
        elif site.at_load:
            self.applied.pop("tome", None)

    def read_deepcache(self, site: CallSite, name: str) -> None:
        """``set_params``, ``enable`` and ``disable`` of a DeepCache helper, whatever variable holds it."""
        function = site.node.func
        if not isinstance(function, ast.Attribute):
            return
        origin = self.resolver.origin(function.value, site.frame, site.order)
        if origin is None or not ("DeepCache" in origin.class_name and "Helper" in origin.class_name):
            return
        helper = f"{origin.call.lineno}:{origin.call.col_offset}"
        if name == "set_params":
            self._helpers.setdefault(helper, {}).update(
                self.parameters(site.node, site, DEEPCACHE_PARAMETERS)
            )
        elif name == "enable":
            self._enabled.add(helper)
        elif site.at_load:
            self._enabled.discard(helper)

    def read_tgate_loader(self, site: CallSite, name: str) -> None:
        """``TgateSDLoader(pipe, ...)``; the loaders with DeepCache in their name switch that on too."""
        given = self.parameters(site.node, site, ("",))
        if "DeepCache" in name:
            self.applied["deepcache"] = {key: given[key] for key in DEEPCACHE_PARAMETERS if key in given}
        self.applied["tgate"] = {key: given[key] for key in TGATE_PARAMETERS if key in given}

    def read_tgate_call(self, site: CallSite, name: str) -> None:
        if isinstance(site.node.func, ast.Attribute) and self.on_pipeline(site.node.func.value, site):
            self._tgate_calls += 1
            given = self.parameters(site.node, site)
            self.applied.setdefault("tgate", {}).update(
                {key: given[key] for key in TGATE_PARAMETERS if key in given}
            )

    def read_compile(self, site: CallSite, name: str) -> None:
        """``torch.compile(pipe.unet)``, ``pipe.unet.compile()`` and what compiles regions, but not ``re.compile``."""
        function = site.node.func
        method_of = function.value if isinstance(function, ast.Attribute) else None
        if self.real_name(function, site) in COMPILERS or (
            method_of is not None and self.on_pipeline(method_of, site)
        ):
            self.applied["torch_compile"] = self.parameters(site.node, site)

    def read_precision(self, site: CallSite, name: str) -> None:
        """``.half()``, ``.bfloat16()``, ``.float()`` and ``.to(dtype)`` of the pipeline or a component."""
        function = site.node.func
        if not isinstance(function, ast.Attribute) or not self.on_pipeline(function.value, site):
            return
        if name != "to":
            self.set_precision(name)
            return
        for argument in site.node.args:
            text = self._dtype(argument, site)
            if text in PRECISIONS or text in FULL_PRECISIONS:
                self.set_precision(text)
            elif self.resolver.constant(argument, site.frame, site.order) is UNKNOWN:  # a device, or a dtype
                self.unsure.add("precision")
        for keyword in site.node.keywords:
            if keyword.arg in ("dtype", "torch_dtype"):
                self.set_precision(self._dtype(keyword.value, site))

    def read_load(self, site: CallSite, name: str) -> None:
        """``from_pretrained(torch_dtype=, quantization_config=)`` of the pipeline."""
        is_pipeline = self.is_pipeline(site.node, site.frame, site.order)
        for keyword in site.node.keywords:
            if keyword.arg in ("torch_dtype", "dtype") and is_pipeline:
                self.set_precision(self._dtype(keyword.value, site))
            if keyword.arg == "quantization_config":
                self.applied["quantized"] = {"config": source_text(keyword.value)}

    def _dtype(self, node: ast.expr, site: CallSite) -> str:
        name = self.real_name(node, site)
        if name.startswith("torch."):
            return name.removeprefix("torch.")
        return str(self.value(node, site))

    def set_precision(self, dtype: str) -> None:
        """Full precision is what a file has that says nothing, so it is no method."""
        if dtype in FULL_PRECISIONS:
            self.applied.pop("precision", None)
        else:
            self.applied["precision"] = {"dtype": PRECISIONS.get(dtype, dtype)}
            if dtype not in PRECISIONS:  # such as one that depends on the device
                self.unsure.add("precision")

    def read_quantize(self, site: CallSite, name: str) -> None:
        """``quantize_(module, config)`` of torchao, ``quantize(module, weights=)`` of quanto, and torch's own."""
        library = self.real_name(site.node.func, site)
        if any(word in library for word in ("torchao", "quanto", "torch.ao", "torch.quantization")):
            options = site.node.args[1:] + [keyword.value for keyword in site.node.keywords]
            self.applied["quantized"] = {"config": ", ".join(map(source_text, options))}

    def read_para_attn(self, site: CallSite, name: str) -> None:
        if self.real_name(site.node.func, site).startswith("para_attn"):
            self.applied["para_attn"] = self.parameters(site.node, site)

    def read_assigned_forward(self, target: ast.expr, value: ast.expr) -> None:
        """``Transformer.forward = teacache_forward``, the way the scripts of TeaCache and MagCache work."""
        name = (dotted(value) or "").rpartition(".")[2]
        for prefix, method in (("teacache", "teacache"), ("magcache", "mag_cache")):
            if name.startswith(prefix) and (dotted(target) or "").endswith(".forward"):
                self.applied[method] = {}


# What needs more than a name and its parameters to be understood.
READERS: dict[str, Callable[[MethodReader, CallSite, str], None]] = {
    **dict.fromkeys(("apply_patch", "remove_patch"), MethodReader.read_tome),
    **dict.fromkeys(("set_params", "enable", "disable"), MethodReader.read_deepcache),
    **dict.fromkeys(("half", "bfloat16", "float", "to"), MethodReader.read_precision),
    **dict.fromkeys(("from_pretrained", "from_single_file", "from_pipe"), MethodReader.read_load),
    **dict.fromkeys(("quantize_", "quantize", "quantize_dynamic"), MethodReader.read_quantize),
    "apply_cache_on_pipe": MethodReader.read_para_attn,
    "enable_cache": MethodReader.read_enable_cache,
    "tgate": MethodReader.read_tgate_call,
    **dict.fromkeys(("compile", "compile_repeated_blocks", "compile_regions"), MethodReader.read_compile),
}
