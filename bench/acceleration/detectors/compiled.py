"""What is compiled, by torch.compile or as TorchScript, and the model that a wrapper holds."""

from __future__ import annotations

import sys
from typing import Any

from bench.acceleration.detectors.settings import used_by

# What a function has that torch.compile returned.
_COMPILED_FROM = "_torchdynamo_orig_callable"
_LIBRARIES = frozenset({"diffusers", "transformers"})


def without_compiler(module: Any) -> Any:
    """Return what torch.compile has wrapped, or the module itself."""
    return getattr(module, "_orig_mod", module)


def is_compiled(module: Any) -> bool:
    """Whether torch.compile was applied to the module, by wrapping it or in place, or to a method such as ``vae.decode``."""
    if hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None:
        return True
    return any(hasattr(value, _COMPILED_FROM) for value in vars(module).values() if callable(value))


def is_scripted(thing: Any) -> bool:
    """Whether it is TorchScript: a module, a method or a function that torch.jit has traced or compiled."""
    import torch

    return isinstance(thing, torch.jit.ScriptModule | torch.jit.ScriptFunction | torch.ScriptMethod)


def runs_script(module: Any) -> bool:
    """Whether a call of a module runs TorchScript: it is such a module, or its own ``forward`` calls one."""
    return is_scripted(module) or _leads_to_script(vars(module).get("forward"), 3)


def _leads_to_script(call: Any, steps: int) -> bool:
    """Whether a function is TorchScript, or holds some: as a partial, as a method of it, in what is around it."""
    if call is None or is_scripted(call):
        return call is not None
    if not steps or not callable(call):
        return False
    held = [getattr(call, "func", None), getattr(call, "__self__", None), getattr(call, "__wrapped__", None)]
    return any(_leads_to_script(one, steps - 1) for one in (*held, *used_by(call).values()))


def has_compiled(component: Any) -> bool:
    """Whether any module of a component was compiled, so that no hook may be put into it, or none would be called."""
    return any(is_compiled(module) or runs_script(module) for module in component.modules())


def model_within(component: Any) -> Any:
    """Return the model that a component computes with: what a compiler, or a module of the file's own, has wrapped.

    A class of neither diffusers nor transformers wraps the model where a single module of it holds all parameters.
    """
    module = without_compiler(component)
    while hasattr(module, "named_modules") and not _is_of_library(module):
        own = next(iter(module.parameters(recurse=False)), None)
        holding = [child for child in module.children() if next(iter(child.parameters()), None) is not None]
        if own is not None or len(holding) != 1:
            break
        module = without_compiler(holding[0])
    return module


def _is_of_library(module: Any) -> bool:
    if is_scripted(module):  # which keeps the name of its class alone
        return any(hasattr(sys.modules.get(library), module.original_name) for library in _LIBRARIES)
    return any(kind.__module__.partition(".")[0] in _LIBRARIES for kind in type(module).__mro__)
