"""Calls of the C library and the kernel that Python has no name for."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from itertools import pairwise

_CLOSE_RANGE = 436  # the same on all architectures
_LAST = 2**32 - 1


@cache
def libc() -> ctypes.CDLL:
    """Return the C library, whose calls leave ``errno`` to `checked`."""
    return ctypes.CDLL(None, use_errno=True)


def look_up() -> None:
    """Find the calls of a jail once, before any fork: the first use of each takes longer than the call."""
    for name in ("syscall", "unshare", "setns", "mount", "prctl", "capget", "capset"):
        getattr(libc(), name)


def checked(result: int) -> int:
    """Return what a call returned.

    Raises:
        OSError: it returned a negative number.
    """
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def close_all_but(kept: Iterable[int]) -> None:
    """Close all descriptors of this process but some."""
    bounds = [-1, *sorted({descriptor for descriptor in kept if descriptor >= 0}), _LAST]
    for before, after in pairwise(bounds):
        first, last = before + 1, after if after == _LAST else after - 1
        if first > last:
            continue
        if libc().syscall(_CLOSE_RANGE, ctypes.c_uint(first), ctypes.c_uint(last), 0) == 0:
            continue
        for name in os.listdir("/proc/self/fd"):  # a kernel before 5.9
            if first <= int(name) <= last:
                with suppress(OSError):  # the one that listed the directory
                    os.close(int(name))
