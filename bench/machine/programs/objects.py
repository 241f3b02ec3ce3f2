"""Objects that are no data: those that stay in their process, those of the standard library, and exceptions."""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_EXCEPTIONS = {
    name: value
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
}
# Modules whose classes hold values and do nothing.
_HARMLESS = {"builtins", "collections", "decimal", "fractions", "datetime"}
_UNSAFE_IMPORTS = {"antigravity", "this", "__main__", "idlelib", "turtle", "tkinter"}


class UnreadableValue(Exception):
    """A message that no honest writer writes."""


class Remote:
    """An object of the other process. Which of Python's protocols it takes part in is added by `remote_class`."""

    __slots__ = ("__weakref__", "_ask", "_number")

    def __init__(self, ask: Callable[..., Any], number: int) -> None:
        object.__setattr__(self, "_ask", ask)
        object.__setattr__(self, "_number", number)


@dataclass
class Handles:
    """The objects that stay here, by the number that stands for each of them."""

    objects: list[Any] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)

    def number(self, value: Any) -> int:
        """Return the number of an object; it is kept alive from here on."""
        if id(value) not in self.numbers:
            self.numbers[id(value)] = len(self.objects)
            self.objects.append(value)
        return self.numbers[id(value)]

    def __getitem__(self, number: Any) -> Any:
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(self.objects):
            raise UnreadableValue("an object that nobody named")
        return self.objects[number]


def protocols(value: Any) -> list[str]:
    """Return which of Python's protocols an object takes part in."""
    kind = type(value)
    found = {
        "call": "__call__",
        "iter": "__iter__",
        "next": "__next__",
        "len": "__len__",
        "getitem": "__getitem__",
    }
    names = [name for name, method in found.items() if getattr(kind, method, None) is not None]
    return [*names, "class"] if issubclass(kind, type) else names


def made_exception(name: str, own: str, parts: list[Any]) -> BaseException:
    """Return an exception of one of Python's own classes, or of a class of the name `own` below it."""
    kind = _EXCEPTIONS[name]
    if own != name:
        kind = type(own, (kind,), {})
    try:
        return kind(*parts)
    except TypeError:  # one that wants other arguments than it shows
        made: BaseException = kind.__new__(kind)
        made.args = tuple(parts)
        return made


def library_object(module: str, name: str) -> Any:
    """Return an object of the standard library by its name; None if there is none, or if to import it does something."""
    root = module.partition(".")[0]
    if root not in sys.stdlib_module_names or root in _UNSAFE_IMPORTS:
        return None
    try:
        found: Any = importlib.import_module(module)
        for part in name.split(".") if name else ():
            if part.startswith("_") and not (part.startswith("__") and part.endswith("__")):
                return None
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return None
    return found


def is_harmless(value: Any, module: str, name: str) -> bool:
    """Whether a stand-in of the same name may take the place of an object that the other process names."""
    return not name or (isinstance(value, type) and module in _HARMLESS)


def reference_of(value: Any) -> tuple[str, str] | None:
    """Return module and name of an object of the standard library; None for all others."""
    if type(value) is type(sys):
        name = getattr(value, "__name__", None)
        return (name, "") if isinstance(name, str) and library_object(name, "") is value else None
    if not isinstance(value, type | type(len) | type(made_exception)):
        return None
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if isinstance(module, str) and isinstance(name, str) and library_object(module, name) is value:
        return module, name
    return None


def exception_parts(value: BaseException) -> tuple[str, str, list[Any]]:
    """Return the nearest of Python's own classes, the name of the class, and arguments that are plain."""
    own = next(kind for kind in type(value).__mro__ if _EXCEPTIONS.get(kind.__name__) is kind)
    parts = [part if isinstance(part, str | int | None) else f"{part}" for part in value.args]
    return own.__name__, type(value).__name__ if type(value) is not own else own.__name__, parts
