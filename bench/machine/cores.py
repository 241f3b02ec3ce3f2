"""Which processor cores a run may compute on: the affinity mask, one entry per physical core, within the quota."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

CPU_TOPOLOGY = Path("/sys/devices/system/cpu")
CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")

Core = tuple[int, ...]
"""The logical processors of one physical core; two on machines with simultaneous multithreading."""


def usable_cores() -> list[Core]:
    """Return the physical cores that this process may use, each as its logical processors.

    Two arms that are timed side by side on the two hardware threads of one core would slow each
    other down, so a lease is always whole physical cores. A container's CPU quota (cgroup v2)
    lowers the count: pinning four arms where two cores' worth of time is granted would throttle all.
    """
    allowed = sorted(os.sched_getaffinity(0))
    siblings: dict[Core, list[int]] = {}
    for cpu in allowed:
        siblings.setdefault(_thread_siblings(cpu), []).append(cpu)
    cores = [tuple(cpus) for cpus in siblings.values()]
    return cores[: max(1, min(len(cores), _quota_cores(len(cores))))]


def threads_for(cores: list[Core]) -> int:
    """Return how many compute threads an arm on these cores should use: one per physical core."""
    return max(1, len(cores))


def logical(cores: list[Core]) -> set[int]:
    """Return the logical processors of these cores, for ``os.sched_setaffinity``."""
    return {cpu for core in cores for cpu in core}


def core_names(cores: Sequence[Core]) -> tuple[str, ...]:
    """Return names by which every process of the machine knows these cores: ``cpu-`` and the lowest logical processor.

    The lowest of the core, not of the affinity mask: two runs may be confined to one hardware thread of the same core.
    """
    return tuple(f"cpu-{min(_thread_siblings(core[0]))}" for core in cores)


def slot_size(core_count: int, workers: int) -> int:
    """Return the number of cores of one pair's lease: cores divided by workers, at least one."""
    return max(1, core_count // max(1, workers))


def _thread_siblings(cpu: int) -> Core:
    try:
        text = (CPU_TOPOLOGY / f"cpu{cpu}/topology/thread_siblings_list").read_text()
    except OSError:
        return (cpu,)
    return parse_cpu_list(text)


def parse_cpu_list(text: str) -> Core:
    """Parse the kernel's list format: ``0-2,8`` is ``(0, 1, 2, 8)``."""
    cpus: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cpus.extend(range(int(first), int(last or first) + 1))
    return tuple(cpus)


def _quota_cores(default: int) -> int:
    try:
        quota, period = CGROUP_QUOTA.read_text().split()
    except (OSError, ValueError):
        return default
    return default if quota == "max" else int(quota) // int(period)
