"""What Linux lets a process say about itself: who kills it, whose children it adopts, whether a crash is dumped."""

from __future__ import annotations

import ctypes
import resource
from contextlib import suppress

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def set_process_option(option: int, value: int) -> None:
    """Call Linux' ``prctl``; a failure only means that a safety net is missing."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def forbid_core_dumps() -> None:
    """Keep crashes from being dumped; the limit of one byte also stops the kernel from piping them away."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    limit = 0 if hard == 0 else 1
    resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))
