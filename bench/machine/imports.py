"""Imports of frameworks, which make hundreds of thousands of objects that stay."""

from __future__ import annotations

import gc
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
