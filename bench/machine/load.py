"""How busy processors were, and how much of that a process used, from what ``/proc`` says."""

from __future__ import annotations

import os
from collections.abc import Collection

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# Fields of a processor in /proc/stat: user nice system idle iowait irq softirq steal. Time of guests is in `user`.
_BUSY = (0, 1, 2, 5, 6, 7)
# Fields of /proc/<pid>/stat, counted from the state: utime stime cutime cstime, of all threads.
_USED = slice(11, 15)


def busy_s(text: str, cpus: Collection[int]) -> float | None:
    """Return the seconds that these logical processors have been busy since the system started.

    Time that a hypervisor gave to other machines counts as busy.

    Args:
        text: of ``/proc/stat``.
        cpus: logical processors.

    Returns:
        None where the text does not name all of them.

    Example:
        >>> busy_s("cpu  9 9 9 9 9 9 9 9 0 0\\ncpu3 100 0 50 900 7 0 0 50 0 0\\nintr 1", {3})
        2.0
    """
    ticks = {}
    for line in text.splitlines():
        name, *fields = line.split() or [""]
        number = name.removeprefix("cpu")
        if name != number and number.isdigit() and len(fields) > max(_BUSY):
            ticks[int(number)] = sum(int(fields[index]) for index in _BUSY)
    if not set(cpus) <= set(ticks):
        return None
    return sum(ticks[cpu] for cpu in cpus) / _TICKS_PER_S


def used_s(text: str) -> float:
    """Return the processor seconds that a process has used, with those of its children that have ended.

    Args:
        text: of ``/proc/<pid>/stat``; the name in it, in parentheses, may hold anything.
    """
    return sum(map(int, text.rpartition(")")[2].split()[_USED])) / _TICKS_PER_S
