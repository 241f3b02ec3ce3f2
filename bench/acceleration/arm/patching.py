"""Putting something in the place of an attribute for a while."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

_MISSING = object()


def put(stack: ExitStack, owner: Any, name: str, value: Any) -> None:
    """Put an attribute of an object or class in place, and what was there back when the stack is left.

    What others have put on top of it meanwhile stays.
    """
    before = vars(owner).get(name, _MISSING)
    setattr(owner, name, value)

    def undo() -> None:
        if vars(owner).get(name) is not value:
            return
        if before is _MISSING:
            delattr(owner, name)
        else:
            setattr(owner, name, before)

    stack.callback(undo)


def tell_of_new(stack: ExitStack, base: Any, told: Callable[[Any], None]) -> None:
    """Tell of each instance of a class, or of one below it, that comes to be until the stack is left.

    Args:
        stack: ends it.
        base: a class without a ``__new__`` of its own.
        told: given the instance before its ``__init__`` runs.
    """

    def new(kind: Any, *_: Any, **__: Any) -> Any:
        made = object.__new__(kind)
        told(made)
        return made

    base.__new__ = new
    # Without it, Python would pass the arguments of __init__ on to object.__new__, which takes none.
    stack.callback(setattr, base, "__new__", lambda kind, *_, **__: object.__new__(kind))
