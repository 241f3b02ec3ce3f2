"""The jail of a process that runs code of somebody else: what it gives up before that code runs.

Each layer is one thing that Linux offers. One that a kernel or a container refuses is left out, and `enter` says so: the
caller decides whether that is enough. No layer can be taken off again, by the process or by what it starts.
"""

from __future__ import annotations

import os
import resource
import sys
import sysconfig
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from bench.machine import landlock, namespaces, seccomp

LAYERS = ("namespaces", "capabilities", "privileges", "files", "calls", "limits")
"""Names of the layers, in the order in which they are entered."""
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt", "/sys")
# Of /etc what programs need, and no secret: not the password hashes, not the keys of the machine.
_SETTINGS = (
    "alternatives", "debian_version", "fonts", "gai.conf", "group", "host.conf", "hosts", "ld.so.cache", "ld.so.conf",
    "ld.so.conf.d", "localtime", "lsb-release", "magic", "mime.types", "nsswitch.conf", "OpenCL", "os-release", "passwd",
    "protocols", "resolv.conf", "services", "ssl/certs", "ssl/openssl.cnf", "timezone", "vulkan",
)  # fmt: skip
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_GPU_DEVICES = ("nvidia*", "dri", "kfd")
_SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Jail:
    """What is allowed in a jail.

    Attributes:
        readable: files and folders, with all below them, that may be read and executed besides the system's and Python's.
        writable: likewise, that may also be changed.
        covered: folders that are empty in the jail, but for what of them is writable.
        gpu: whether the devices of a GPU may be used.
        processes, descriptors: how many there may be.
        file_bytes: size of one file that is written.
        shared_memory_bytes: size of its own ``/dev/shm``.
    """

    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    covered: tuple[Path, ...] = ()
    gpu: bool = False
    processes: int = 1024
    descriptors: int = 4096
    file_bytes: int = 8 * 2**30
    shared_memory_bytes: int = 2**30


@dataclass(frozen=True)
class Entered:
    """Which layers of a jail are in force.

    Attributes:
        layers: those in force.
        missing: the others, each with what was found.
    """

    layers: tuple[str, ...] = ()
    missing: dict[str, str] = field(default_factory=dict)


def enter(jail: Jail, layers: Sequence[str] = LAYERS) -> Entered:
    """Enter a jail for good. Call it in a process with one thread, before any code that is not trusted runs.

    Args:
        jail: what is allowed.
        layers: names of those to enter; the others are neither in force nor missing.

    Returns:
        Which layers are in force.
    """
    devices = list(_devices(jail.gpu))
    in_force: list[str] = []
    steps: dict[str, Callable[[], object]] = {
        "namespaces": lambda: namespaces.leave(jail.shared_memory_bytes, jail.covered, jail.writable),
        "capabilities": namespaces.drop_capabilities,
        "privileges": seccomp.forbid_new_privileges,
        "files": lambda: landlock.restrict(
            [*installed(), *_own_processes(), *jail.readable],
            # Its own shared memory, and its own network: the machine's are out of reach.
            [*jail.writable, *([_SHARED_MEMORY] if "namespaces" in in_force else [])],
            devices,
            allow_tcp="namespaces" in in_force,
        ),
        "calls": seccomp.restrict,
        "limits": lambda: _limit(jail, counts_own=is_own_user(in_force)),
    }
    missing: dict[str, str] = {}
    for name in LAYERS:
        if name not in layers:
            continue
        try:
            steps[name]()
            in_force.append(name)
        except (OSError, ValueError) as error:
            missing[name] = f"{error.strerror or error}" if isinstance(error, OSError) else str(error)
    return Entered(tuple(in_force), missing)


@cache
def installed() -> tuple[Path, ...]:
    """Return where the system, the interpreter and its packages are; asked once for all forks of a process."""
    places = [sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values()]
    packages = [place for place in sys.path if Path(place).name in ("site-packages", "dist-packages")]
    found = {Path(place).resolve() for place in (*places, *packages)}
    return (*map(Path, _SYSTEM), *(Path("/etc", name) for name in _SETTINGS), *sorted(found))


def _own_processes() -> Iterable[Path]:
    """Return what of ``/proc`` says nothing of other processes."""
    yield from (path for path in Path("/proc").iterdir() if not path.name.isdigit() and not path.is_symlink())
    yield Path(f"/proc/{os.getpid()}")


def _devices(gpu: bool) -> Iterable[Path]:
    yield from (Path("/dev", name) for name in _DEVICES)
    if gpu:
        for pattern in _GPU_DEVICES:
            yield from Path("/dev").glob(pattern)


def _limit(jail: Jail, *, counts_own: bool) -> None:
    """Set limits; that of processes only where those of the user outside of the jail do not count."""
    limits = [(resource.RLIMIT_NOFILE, jail.descriptors), (resource.RLIMIT_FSIZE, jail.file_bytes)]
    if counts_own:
        limits.append((resource.RLIMIT_NPROC, jail.processes))
    for kind, most in limits:
        _, hard = resource.getrlimit(kind)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (limit, limit))


def is_own_user(in_force: Sequence[str]) -> bool:
    """Whether the kernel counts the processes of this jail by themselves: not for root, whose processes have no limit."""
    return "namespaces" in in_force and os.geteuid() != 0
