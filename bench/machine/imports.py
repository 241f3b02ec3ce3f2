"""Imports of frameworks, which make hundreds of thousands of objects that stay."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Look for no garbage while something large is imported, nor in it afterwards.

    The collector would walk through all of it again and again: a tenth of the time that importing torch takes, and half a
    second each time at the end of the process.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


@contextmanager
def without(name: str) -> Iterator[None]:
    """Let a package that something large would try to import, and can do without, be missing meanwhile.

    One that is imported already stays.
    """
    is_there = name in sys.modules
    if not is_there:
        sys.modules[name] = None  # type: ignore[assignment]  # what an import takes for a missing module
    try:
        yield
    finally:
        if not is_there:
            del sys.modules[name]
