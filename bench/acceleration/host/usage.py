"""What an arm uses when nobody looks: processor time out of its turn, processes, room on the disk.

All of it is read from outside, in ``/proc`` and in the arm's folder.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.acceleration.host.process_tree import tree

MAX_TASKS = 1024
"""Processes and threads of one arm; torch has some dozens."""
_MAX_FILES = 2**18
_ROOM_BYTES = 2**26
# A process that is told to stop ends its present system call first, which may be freeing gigabytes.
_STOP_S = 0.5
_PAUSE_S = 0.0005
_IDLE_STATES = frozenset("TtZXx")
# What a stopped process may use: the end of what it was doing, and as a share of the time that it waits.
_SPARE_S, _SPARE_SHARE = 0.002, 0.01


@dataclass(frozen=True)
class Used:
    """Processor time of a process and its descendants.

    Attributes:
        seconds: by process number.
        at: when, by :func:`time.monotonic`.
    """

    seconds: dict[int, float]
    at: float


def settled(pid: int) -> Used:
    """Wait until a process that was told to stop and all of its descendants stand still; return what they have used."""
    deadline = time.monotonic() + _STOP_S
    while True:
        members = tree(pid)
        if all(_is_idle(member) for member in members) or time.monotonic() > deadline:
            return Used({member: _used_s(member) for member in members}, time.monotonic())
        time.sleep(_PAUSE_S)


def used_meanwhile(pid: int, before: Used) -> tuple[float, float] | None:
    """Return the processor seconds that a stopped process and its descendants have used since, and how long that is ago.

    None where it is no more than stopping takes.
    """
    used = sum(max(0.0, _used_s(member) - before.seconds.get(member, 0.0)) for member in tree(pid))
    waited = time.monotonic() - before.at
    return (used, waited) if used > _SPARE_S + _SPARE_SHARE * waited else None


def tasks_of(pid: int) -> int:
    """Return how many processes and threads there are of a process and its descendants; too many are not all counted."""
    count = 0
    for member in tree(pid, most=MAX_TASKS):
        with suppress(OSError):  # it has ended since
            # A folder has two links more than folders in it.
            count += max(1, os.stat(f"/proc/{member}/task").st_nlink - 2)
    return count


def has_room(folder: Path) -> bool:
    """Whether the disk of a folder has room for a file."""
    try:
        return shutil.disk_usage(folder).free > _ROOM_BYTES
    except OSError:
        return False


def bytes_below(folder: Path, limit: int) -> int:
    """Return the size of all files in a folder, or some number above the limit where there are too many to look at."""
    size, files, folders = 0, 0, [str(folder)]
    while folders and size <= limit:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                files += 1
                if files > _MAX_FILES:
                    return limit + 1
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        size += 512 * entry.stat(follow_symlinks=False).st_blocks
    return size


def _is_idle(pid: int) -> bool:
    try:
        return all(_state(pid, task) in _IDLE_STATES for task in os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return True


def _state(pid: int, task: str) -> str:
    try:
        with open(f"/proc/{pid}/task/{task}/stat", "rb") as file:
            # The name, in parentheses, may hold anything.
            return file.read().rpartition(b")")[2][1:2].decode()
    except OSError:
        return "X"


def _used_s(pid: int) -> float:
    """Return the processor seconds of the threads that a process has; exact, where the kernel counts so."""
    total = 0
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with (
                suppress(OSError, ValueError, IndexError),
                open(f"/proc/{pid}/task/{task}/schedstat", "rb") as file,
            ):
                total += int(file.read().split()[0])
    return total / 1e9
