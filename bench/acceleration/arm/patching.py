"""Putting something in the place of an attribute for a while."""

from __future__ import annotations

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
