"""The parts of a pipeline, as detectors look at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def seen_as_it_is(pipe: Any) -> Iterator[None]:
    """Walk through a pipeline once for all that look at it within the context; it must not change meanwhile.

    There are some thirty detectors, and walking takes longer than what most of them look for.
    """
    parts = list(_components(pipe))
    _walked[id(pipe)] = parts, [module for _, part in parts for module in _modules_of(part)]
    try:
        yield
    finally:
        _walked.pop(id(pipe), None)


_walked: dict[int, tuple[list[tuple[str, Any]], list[Any]]] = {}


def _components(pipe: Any) -> Iterator[tuple[str, Any]]:
    for name, component in pipe.components.items():
        if hasattr(component, "named_modules"):
            yield name, component


def components(pipe: Any) -> Iterator[tuple[str, Any]]:
    """Yield every component that has parameters, with its name."""
    walked = _walked.get(id(pipe))
    yield from _components(pipe) if walked is None else walked[0]


def components_with(pipe: Any, holds: Callable[[Any], bool]) -> list[str]:
    """Return the names of the components for which something holds, sorted."""
    return sorted(name for name, component in components(pipe) if holds(component))


def modules(pipe: Any) -> Iterator[Any]:
    """Yield every module of every component."""
    walked = _walked.get(id(pipe))
    if walked is None:
        for _, component in _components(pipe):
            yield from _modules_of(component)
    else:
        yield from walked[1]


def _modules_of(component: Any) -> Iterator[Any]:
    """Yield the modules of a component in the order of ``Module.modules()``, which also makes the name of each."""
    if "_modules" not in getattr(component, "__dict__", ()):  # something that stands for a module
        yield from component.modules()
        return
    seen, left = set(), [component]
    while left:
        module = left.pop()
        if module in seen:
            continue
        seen.add(module)
        yield module
        left += [child for child in reversed(module._modules.values()) if child is not None]


def hooks(pipe: Any) -> Iterator[tuple[Any, str, Any]]:
    """Yield every hook that diffusers has put on a module: the module, the hook's name, the hook."""
    for module in modules(pipe):
        registry = vars(module).get("_diffusers_hook")  # of a module, what it lacks is slow to ask for
        for name, hook in getattr(registry, "hooks", {}).items():
            yield module, name, hook


def dtypes(pipe: Any) -> dict[str, Any]:
    """Return the dtype of each component's first floating-point parameter."""
    found = {}
    for name, component in components(pipe):
        dtype = next((p.dtype for p in component.parameters() if p.is_floating_point()), None)
        if dtype is not None:
            found[name] = dtype
    return found


def processors(pipe: Any) -> Iterator[Any]:
    """Yield the attention processor of every module, None for one without."""
    for module in modules(pipe):
        yield getattr(module, "processor", None)


def is_quantized(tensor: Any) -> bool:
    """Whether a tensor's numbers are kept in a class of a library for quantization."""
    return type(tensor).__module__.partition(".")[0] in ("torchao", "optimum", "quanto") or bool(
        getattr(tensor, "is_quantized", False)
    )
