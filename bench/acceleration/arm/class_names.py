"""What classes of pipelines and schedulers are called: by the class that computes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.acceleration.arm.packages import OWN_PACKAGES, package_of
from bench.acceleration.protocol.messages import OF_ITS_OWN

_OF_EVERY_CLASS = frozenset(
    {"__module__", "__doc__", "__qualname__", "__annotations__", "__firstlineno__", "__static_attributes__"}
)
# What stands in the place of these methods shows something else, or checks images, and draws none otherwise.
ONLY_SHOWS = frozenset({"progress_bar", "set_progress_bar_config", "run_safety_checker"})


def class_name(thing: Any) -> str:
    """Return the name of the class that computes as a plain text, whatever text of its own the class has put there."""
    return str.__str__(_computing_class(type(thing)).__name__)


def pipeline_class(pipe: Any) -> str:
    """Return the name of a pipeline's class; of one of the file's own, that of the pipeline of a library that it extends.

    What such a class does otherwise is found where it computes, and `own_classes` says where it stands.
    """
    return str.__str__(_pipeline_base(type(pipe)).__name__)


def own_classes(pipe: Any) -> Iterator[type]:
    """Yield the classes between a pipeline and the one of a library that it extends which replace something of that."""
    base = _pipeline_base(type(pipe))
    for kind in type(pipe).__mro__:
        if kind is base:
            return
        if _replaces(kind, base):
            yield kind


def _pipeline_base(kind: type) -> type:
    """Return the first class of a library that can be called; without one, the class that computes."""
    known = (one for one in kind.__mro__ if package_of(one) in OWN_PACKAGES and "__call__" in vars(one))
    return next(known, None) or _computing_class(kind)


def _computing_class(kind: type) -> type:
    """Return a class; for one that only adds to its base, such as a method that draws and saves, the base."""
    while len(kind.__bases__) == 1 and _only_adds(kind):
        (kind,) = kind.__bases__
    return kind


def _only_adds(kind: type) -> bool:
    if package_of(kind) in OWN_PACKAGES:
        return False
    base = kind.__bases__[0]
    return base is not object and not _replaces(kind, base)


def _replaces(kind: type, base: type) -> bool:
    return any(hasattr(base, name) for name in vars(kind).keys() - _OF_EVERY_CLASS - ONLY_SHOWS)


def scheduler_class(scheduler: Any) -> str:
    """Return the name of a scheduler's class, and whether it is another one than diffusers has under that name."""
    import diffusers

    name, package = class_name(scheduler), package_of(_computing_class(type(scheduler)))
    is_namesake = package not in OWN_PACKAGES and hasattr(diffusers, name)
    return f"{name}{OF_ITS_OWN}" if is_namesake else name
