"""Where the threads of this process may run, those of torch's pool included."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress

# How often an OpenMP thread looks for work before it sleeps; GNU's library reads it once, when torch is imported.
# This is its own figure for more threads than processors. Its usual one, some milliseconds, keeps a processor from
# whatever else runs on it, the very threads it waits for included: beside one busy process a call of two threads
# took 80 times as long. On a quiet machine no difference was seen.
BRIEF_SPIN = {"GOMP_SPINCOUNT": "1000"}


def pin_process(cpus: Iterable[int], threads: int | None = None) -> None:
    """Confine every thread of this process to some CPUs.

    ``sched_setaffinity`` moves one thread only; a pool that was started on other cores would stay there.

    Args:
        cpus: logical CPUs.
        threads: how many threads torch uses, whether it is imported already or later.
    """
    cpus = set(cpus)
    os.sched_setaffinity(0, cpus)
    for thread in os.listdir("/proc/self/task"):
        with suppress(OSError):  # it may have ended, or be one that nobody may move
            os.sched_setaffinity(int(thread), cpus)
    if threads is not None:
        # Read when torch is imported; later only set_num_threads counts.
        os.environ["OMP_NUM_THREADS"] = str(threads)
        torch = sys.modules.get("torch")
        if torch is not None:
            torch.set_num_threads(threads)
