"""A process and everything it started: found in ``/proc``; stopped, woken and killed together.

Signals to a process group miss whatever called ``setsid``. An arm is a child subreaper instead: what it
daemonises becomes its own child again, so that the tree below it is complete for as long as it lives,
and the fork server, the next subreaper, inherits what is left when it ends.
"""

from __future__ import annotations

import math
import os
import signal
from contextlib import suppress
from pathlib import Path

_LISTS_CHILDREN = Path("/proc/thread-self/children").exists()  # a kernel may be built without
# A stopped process starts no other, so a few passes are enough; a fork bomb must not hold us for ever.
_MAX_PASSES = 100


def stop_tree(pid: int) -> None:
    """Stop a process and all of its descendants, also those that are started meanwhile."""
    stopped: set[int] = set()
    for _ in range(_MAX_PASSES):
        running = [member for member in tree(pid) if member not in stopped]
        if not running:
            return
        _signal(running, signal.SIGSTOP)
        stopped.update(running)


def resume_tree(pid: int) -> None:
    """Let a stopped process and all of its descendants run again."""
    _signal(tree(pid), signal.SIGCONT)


def kill_tree(pid: int) -> None:
    """Kill a process and all of its descendants; all of them may be gone already."""
    stop_tree(pid)
    _signal(tree(pid), signal.SIGKILL)


def tree(pid: int, most: float = math.inf) -> list[int]:
    """Return the ids of a process and of all its descendants, parents first; empty when it is gone.

    Once more than ``most`` are found no others are looked for: a tree may grow faster than it is walked.
    """
    if not Path(f"/proc/{pid}").exists():
        return []
    found, known = [pid], {pid}
    for member in found:
        fresh = children(member) - known
        found.extend(fresh)
        known |= fresh
        if len(found) > most:
            break
    return found


def allowed_processors(pid: int) -> set[int]:
    """Return the logical processors that some thread of the tree may run on."""
    found: set[int] = set()
    for member in tree(pid):
        with suppress(OSError):
            for task in os.listdir(f"/proc/{member}/task"):
                with suppress(OSError):
                    found |= os.sched_getaffinity(int(task))
    return found


def children(pid: int) -> set[int]:
    """Return the ids of all direct children, zombies included."""
    if not _LISTS_CHILDREN:
        return _children_by_parent(pid)
    found: set[int] = set()
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found.update(int(child) for child in (task / "children").read_text().split())
    return found


def _children_by_parent(pid: int) -> set[int]:
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                # The name, in parentheses, may hold anything; state and parent follow the last one.
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                if int(parent) == pid:
                    found.add(int(entry.name))
    return found


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def parent_of(pid: int) -> int | None:
    """Return the parent of a process; None where the process is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid:")), None)
