"""Which files replace code of the pipeline that no known method accounts for, wherever they put theirs.

In the place of a module's forward or around it, on the pipeline or one of its parts as an attribute, in a class of a
library, or in a class that extends the pipeline.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.acceleration.arm.class_names import ONLY_SHOWS, own_classes
from bench.acceleration.arm.packages import OWN_PACKAGES, is_of, package_of
from bench.acceleration.detectors.parts import modules
from bench.acceleration.detectors.shipped import METHODS

PATCHED_FORWARD = "patched_forward"
"""What replaced code is listed as; it is no method that a task could ask for."""
# Their decorators stand around methods of diffusers and transformers.
_DECORATING = frozenset({"contextlib", "dataclasses", "enum", "huggingface_hub", "typing_extensions"})


def replacing_files(pipe: Any) -> list[str]:
    """Return the names of these files, sorted."""
    known = OWN_PACKAGES.union(*(method.packages for method in METHODS.values()))
    parts = [*modules(pipe)]
    # A part stands in several places; each is looked at once.
    objects = {
        id(one): one for one in (pipe, *pipe.components.values(), *vars(pipe).values(), *parts)
    }.values()
    found = {_foreign(function, known) for module in parts for function in _run_by(module)}
    found |= {_foreign(value, known) for thing in objects for value in _methods_on(thing)}
    found |= {_foreign(function, known | _DECORATING) for function in _functions_of(set(map(type, objects)))}
    found |= {_file_of(kind) for kind in own_classes(pipe) if package_of(kind) not in known}
    return sorted(file for file in found if file is not None)


def _run_by(module: Any) -> Iterator[Any]:
    """Yield what runs when a module is called."""
    yield module.forward
    for hooks in ("_forward_pre_hooks", "_forward_hooks"):
        yield from getattr(module, hooks, {}).values()


def _methods_on(thing: Any) -> Iterator[Any]:
    """Yield what stands on an object in the place of a method of its class."""
    for name, value in getattr(thing, "__dict__", {}).items():
        if callable(value) and name not in ONLY_SHOWS and callable(getattr(type(thing), name, None)):
            yield value


def _functions_of(kinds: set[type]) -> Iterator[Any]:
    """Yield the functions in classes of libraries: those of the given classes, and of all that they extend."""
    bases = {base for kind in kinds for base in kind.__mro__}
    for base in bases:
        if package_of(base) not in OWN_PACKAGES:
            continue
        for name, value in vars(base).items():
            if name not in ONLY_SHOWS:
                yield value.fget if isinstance(value, property) else getattr(value, "__func__", value)


def _file_of(kind: type) -> str:
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return str(kind.__module__) if file is None else Path(file).name


def _foreign(forward: Any, known: frozenset[str]) -> str | None:
    """Return the file of a function whose code belongs to no known package, looked for through what is around it."""
    for _ in range(20):  # through partials and decorators, also where one leads back to itself
        forward = getattr(forward, "func", forward)
        function = forward if hasattr(forward, "__globals__") else type(forward).__call__
        if not is_of(function, known):
            return Path(function.__code__.co_filename).name
        forward = getattr(forward, "__wrapped__", None)
        if forward is None:
            break
    return None
