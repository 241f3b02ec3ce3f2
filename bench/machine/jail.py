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
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from bench.machine import landlock, namespaces, seccomp
from bench.machine.landlock import OpenPlace, Ruleset

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
_SHARED_MEMORY = "/dev/shm"
# Of /proc what says nothing of other processes.
_OF_KERNEL = (
    "cmdline", "cpuinfo", "crypto", "devices", "diskstats", "driver", "filesystems", "loadavg", "meminfo", "modules",
    "partitions", "stat", "swaps", "sys", "uptime", "version", "vmstat", "zoneinfo",
)  # fmt: skip
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


@dataclass(frozen=True)
class Entered:
    """Which layers of a jail are in force.

    Attributes:
        layers: those in force.
        missing: the others, each with what was found.
    """

    layers: tuple[str, ...] = ()
    missing: dict[str, str] = field(default_factory=dict)


@dataclass
class Spare:
    """What a fork server has ready for the next of its forks, since making it takes most of the time of a jail.

    Attributes:
        rules: allow what all jails allow; None where the kernel has no Landlock.
        network: descriptor of a network for one jail; None where this user may not make one beforehand.
        is_filled: whether the rules allow what the jail makes readable, too.
    """

    rules: Ruleset | None = None
    network: int | None = None
    is_filled: bool = False

    def fill(self, readable: Iterable[str]) -> None:
        """Allow what one jail makes readable, before the fork: in a fresh fork the same takes twice as long."""
        if self.rules is not None:
            self.rules.allow(readable)
            self.is_filled = True

    @property
    def descriptors(self) -> list[int]:
        """Those that a fork needs until it has entered its jail."""
        held = [self.network, None if self.rules is None else self.rules.descriptor]
        return [descriptor for descriptor in held if descriptor is not None and descriptor >= 0]

    def close(self) -> None:
        """Close what it holds; safe to call twice."""
        if self.rules is not None:
            self.rules.close()
        if self.network is not None:
            os.close(self.network)
        self.rules = self.network = None


def make_spare() -> Spare:
    """Make what the next `enter` of a fork of this process needs; a process with one thread may call it."""
    spare = Spare()
    if namespaces.may_administer():
        with suppress(OSError):
            spare.network = namespaces.new_network()
    with suppress(OSError):
        spare.rules = _common_rules(allow_tcp=spare.network is not None or _may_leave())
    return spare


def prepare() -> None:
    """Look up and open, once for all forks of this process, what every jail needs."""
    seccomp.prepare()
    _HELD.extend(_open_places())
    _may_leave()


def forget() -> None:
    """Hold no longer what `prepare` has opened: a fork that closes its descriptors calls it."""
    _HELD.clear()


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
    own = namespaces.Own(jail.shared_memory_bytes, jail.covered, jail.writable, jail.disk_bytes)
    steps: dict[str, Callable[[], object]] = {
        "namespaces": lambda: namespaces.leave(own, spare.network),
        "capabilities": namespaces.drop_capabilities,
        "privileges": seccomp.forbid_new_privileges,
        "files": lambda: _close_files(jail, in_force, spare),
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
    known = landlock.version()
    if "files" in in_force and known < landlock.SCOPES_SINCE:
        missing[SIGNALS] = f"the kernel offers Landlock {known}, and needs {landlock.SCOPES_SINCE} for them"
    spare.close()
    return Entered(tuple(in_force), missing)


def _close_files(jail: Jail, in_force: Sequence[str], spare: Spare) -> None:
    has_own, rules, readable = "namespaces" in in_force, spare.rules, jail.readable
    if rules is None or rules.allows_tcp is not has_own:
        rules = _common_rules(allow_tcp=has_own)
    elif spare.is_filled:
        readable = ()
    try:
        rules.allow(
            (f"/proc/{os.getpid()}", *readable),
            # Its own shared memory, and its own network: the machine's are out of reach.
            (*jail.writable, *((_SHARED_MEMORY,) if has_own else ())),
            _gpu_devices() if jail.gpu else (),
            jail.listed,
        )
        rules.enforce()
    finally:
        rules.close()


def _common_rules(*, allow_tcp: bool) -> Ruleset:
    rules = Ruleset(allow_tcp=allow_tcp)
    opened = [] if _HELD else _open_places()
    try:
        places = _HELD or opened
        rules.allow(
            [place for place, is_device in places if not is_device],
            (),
            [place for place, is_device in places if is_device],
        )
    except BaseException:
        rules.close()
        raise
    finally:
        for place, _ in opened:
            os.close(place.descriptor)
    return rules


_HELD: list[tuple[OpenPlace, bool]] = []  # what `prepare` has opened


def _open_places() -> list[tuple[OpenPlace, bool]]:
    """Return what every jail may read, and the devices that it may use, with whether they are such."""
    paths = [(path, False) for path in (*installed(), *(Path("/proc", name) for name in _OF_KERNEL))]
    paths += [(Path("/dev", name), True) for name in _DEVICES]
    return [(place, is_device) for path, is_device in paths if (place := OpenPlace.at(path)) is not None]


@cache
def _may_leave() -> bool:
    """Whether this user may leave the machine's namespaces; tried in a process of its own."""
    child = os.fork()
    if not child:
        status = 1
        try:
            namespaces.leave(namespaces.Own(2**20))
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


@cache
def installed() -> tuple[Path, ...]:
    """Return where the system, the interpreter and its packages are; asked once for all forks of a process."""
    places = [sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values()]
    packages = [place for place in sys.path if Path(place).name in ("site-packages", "dist-packages")]
    found = {Path(place).resolve() for place in (*places, *packages)}
    return (*map(Path, _SYSTEM), *(Path("/etc", name) for name in _SETTINGS), *sorted(found))


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
