"""What torch costs this process: seconds of compiling, memory of the GPU, the time of what it was asked for."""

from __future__ import annotations

import sys
import time
from typing import Any

from bench.acceleration.protocol.messages import GpuMemory


def compiled_s() -> float | None:
    """Return the seconds that torch.compile has compiled in this process; None where it has compiled nothing.

    Torch's own sum over the frames that it has traced, each with what its backend made of it.
    """
    # Importing it takes seconds, and who has not imported it has compiled nothing.
    utils: Any = sys.modules.get("torch._dynamo.utils")
    seconds = 0.0 if utils is None else float(utils.calculate_time_spent()["total_wall_time"])
    return seconds or None


def gpu_memory() -> GpuMemory:
    """Return the peaks of torch's allocator on the GPU since the process began; None where torch has not used one."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return GpuMemory()
    return GpuMemory(
        allocated_bytes=torch.cuda.max_memory_allocated(), reserved_bytes=torch.cuda.max_memory_reserved()
    )


def time_when_done() -> float:
    """Return the clock's seconds when the GPU has done all that it was asked for; on a processor that is at once."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()
