"""Calls of the C library and the kernel that Python has no name for."""

from __future__ import annotations

import ctypes
import os
from functools import cache


@cache
def libc() -> ctypes.CDLL:
    """Return the C library, whose calls leave ``errno`` to `checked`."""
    return ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> int:
    """Return what a call returned.

    Raises:
        OSError: it returned a negative number.
    """
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
