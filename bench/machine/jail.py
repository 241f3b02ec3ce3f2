"""The jail of a process that runs code of somebody else: what it gives up before that code runs.

Each layer is one thing that Linux offers. One that a kernel or a container refuses is left out, and `enter` says so: the
caller decides whether that is enough. No layer can be taken off again, by the process or by what it starts.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.machine import landlock, namespaces, process_numbers, seccomp
from bench.machine.namespaces import Own
from bench.machine.spare import Spare, common_rules, of_kernel

LAYERS = ("namespaces", "processes", "capabilities", "privileges", "files", "calls", "limits")
"""Names of the layers, in the order in which they are entered."""
_GPU_DEVICES = ("nvidia*", "dri", "kfd")
_SHARED_MEMORY = "/dev/shm"
# More than may be there: who has too many is told so, and does not only see a fork fail.
_SPARE_PROCESSES = 2
SIGNALS = "signals"
"""What older kernels leave out of the layer of files: signals to processes outside, and their sockets without a file."""


@dataclass(frozen=True)
class Jail:
    """What is allowed in a jail.

    Attributes:
        readable: files and folders, with all below them, that may be read and executed besides the system's and Python's.
        writable: likewise, that may also be changed.
        listed: folders of which names may be read, and no more: where Python looks for modules.
        covered: folders that are empty in the jail, but for what of them is writable.
        gpu: whether the devices of a GPU may be used.
        processes, descriptors: how many there may be.
        file_bytes: size of one file that is written.
        shared_memory_bytes: size of its own ``/dev/shm``.
        disk_bytes: what its writable folders may hold, each; they are in memory then, and empty. None for no limit.
    """

    readable: tuple[str | Path, ...] = ()
    writable: tuple[str | Path, ...] = ()
    listed: tuple[str | Path, ...] = ()
    covered: tuple[str | Path, ...] = ()
    gpu: bool = False
    processes: int = 1024
    descriptors: int = 4096
    file_bytes: int = 8 * 2**30
    shared_memory_bytes: int = 2**30
    disk_bytes: int | None = None

    @classmethod
    def of(
        cls, asked: Mapping[str, Any], *, writable: tuple[str, ...] = (), disk_bytes: int | None = None
    ) -> Jail:
        """Return the jail of a specification, which has ``readable``, ``listed``, ``covered`` and ``gpu``."""
        readable, listed, covered = (tuple(asked[name]) for name in ("readable", "listed", "covered"))
        return cls(readable, writable, listed, covered, gpu=asked["gpu"], disk_bytes=disk_bytes)

    @property
    def own(self) -> Own:
        """What there is in place of the machine's namespaces."""
        return Own(self.shared_memory_bytes, self.covered, self.writable, self.disk_bytes)


@dataclass(frozen=True)
class Entered:
    """Which layers of a jail are in force.

    Attributes:
        layers: those in force.
        missing: the others, each with what was found.
    """

    layers: tuple[str, ...] = ()
    missing: dict[str, str] = field(default_factory=dict)


def enter(jail: Jail, layers: Sequence[str] = LAYERS, spare: Spare | None = None) -> Entered:
    """Enter a jail for good. Call it in a process with one thread, before any code that is not trusted runs.

    Args:
        jail: what is allowed.
        layers: names of those to enter; the others are neither in force nor missing.
        spare: what the process that forked this one had ready. It is closed.

    Returns:
        Which layers are in force.
    """
    spare = spare or Spare()
    in_force: list[str] = []
    steps: dict[str, Callable[[], object]] = {
        "namespaces": lambda: namespaces.leave(jail.own, spare.ready),
        "processes": lambda: _part_processes(jail, in_force, spare),
        "capabilities": namespaces.drop_capabilities,
        "privileges": seccomp.forbid_new_privileges,
        "files": lambda: _close_files(jail, in_force, spare),
        "calls": seccomp.restrict,
        "limits": lambda: _limit(jail, counts_own=is_own_user(in_force)),
    }
    threads = _threads()
    if threads > 1:  # the others would stay outside, with this one's memory
        spare.close()
        return Entered((), dict.fromkeys(layers, f"the process has {threads} threads, and a jail holds one"))
    missing: dict[str, str] = {}
    for name in LAYERS:
        if name not in layers:
            continue
        try:
            steps[name]()
            in_force.append(name)
        except (OSError, ValueError) as error:
            missing[name] = f"{error.strerror or error}" if isinstance(error, OSError) else str(error)
    known = landlock.version()
    if "files" in in_force and known < landlock.SCOPES_SINCE:
        missing[SIGNALS] = f"the kernel offers Landlock {known}, and needs {landlock.SCOPES_SINCE} for them"
    spare.close()
    return Entered(tuple(in_force), missing)


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


def _part_processes(jail: Jail, in_force: Sequence[str], spare: Spare) -> None:
    if not spare.is_inside:
        raise ValueError(spare.why_no_first)
    if "namespaces" not in in_force:
        raise ValueError("a /proc of its own needs mounts of its own")
    if spare.shown is None:
        namespaces.mount_processes()
    with suppress(OSError):  # who counts the processes finds too many all the same
        process_numbers.limit(_SPARE_PROCESSES * jail.processes)


def _close_files(jail: Jail, in_force: Sequence[str], spare: Spare) -> None:
    has_own, has_proc = "namespaces" in in_force, "processes" in in_force
    rules, readable = spare.rules, jail.readable
    if rules is None or rules.allows_tcp is not has_own:
        rules = common_rules(allow_tcp=has_own)
    elif spare.is_filled_with(jail.readable):
        readable = ()
    try:
        if has_proc and not (rules is spare.rules and spare.allows_shown):
            rules.allow_reading(of_kernel())  # none of it was there when the rules were made
        rules.allow(
            ("/proc/self", *readable),
            # Its own shared memory, and its own network: the machine's are out of reach.
            (*jail.writable, *((_SHARED_MEMORY,) if has_own else ())),
            _gpu_devices() if jail.gpu else (),
            jail.listed,
        )
        rules.enforce()
    finally:
        rules.close()


def _gpu_devices() -> list[Path]:
    return [path for pattern in _GPU_DEVICES for path in Path("/dev").glob(pattern)]


def _limit(jail: Jail, *, counts_own: bool) -> None:
    """Set limits; that of processes only where those of the user outside of the jail do not count."""
    limits = [
        (resource.RLIMIT_NOFILE, jail.descriptors),
        (resource.RLIMIT_FSIZE, min(jail.file_bytes, jail.disk_bytes or jail.file_bytes)),
    ]
    if counts_own:
        limits.append((resource.RLIMIT_NPROC, jail.processes))
    for kind, most in limits:
        _, hard = resource.getrlimit(kind)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (limit, limit))


def is_own_user(in_force: Sequence[str]) -> bool:
    """Whether the kernel counts the processes of this jail by themselves: not for root, whose processes have no limit."""
    return "namespaces" in in_force and os.geteuid() != 0
