"""What a fork server makes ready for the next of its forks, since making it takes most of the time of a jail.

All of it is for one jail. It is made while nobody waits, for a jail like the last one; what turns out to be another one's
by then is closed, and the fork makes its own.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from bench.machine import namespaces, process_numbers, seccomp
from bench.machine.kernel import look_up
from bench.machine.landlock import OpenPlace, Ruleset
from bench.machine.namespaces import Own, Ready
from bench.machine.process_numbers import First, fork_into, start_first

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt", "/sys")
# Of /etc what programs need, and no secret: not the password hashes, not the keys of the machine.
_SETTINGS = (
    "alternatives", "debian_version", "fonts", "gai.conf", "group", "host.conf", "hosts", "ld.so.cache", "ld.so.conf",
    "ld.so.conf.d", "localtime", "lsb-release", "magic", "mime.types", "nsswitch.conf", "OpenCL", "os-release", "passwd",
    "protocols", "resolv.conf", "services", "ssl/certs", "ssl/openssl.cnf", "timezone", "vulkan",
)  # fmt: skip
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
# Of /proc what says nothing of other processes.
_OF_KERNEL = (
    "cmdline", "cpuinfo", "crypto", "devices", "diskstats", "driver", "filesystems", "loadavg", "meminfo", "modules",
    "partitions", "stat", "swaps", "sys", "uptime", "version", "vmstat", "zoneinfo",
)  # fmt: skip


@dataclass
class Spare:
    """What is ready for one jail.

    Attributes:
        rules: allow what all jails allow; None where the kernel has no Landlock.
        ready: namespaces; nothing in it where this user may not make them beforehand.
        filled: the places that the rules allow besides, each with what was there then; None before any is allowed.
        first: the first process of a PID namespace; None where there is none.
        why_no_first: why not.
        is_inside: whether the fork that has this is in that namespace.
        shown: the first process of the namespace that the mounts show in ``/proc``; None for the machine's.
        allows_shown: whether the rules allow what of that ``/proc`` says nothing of processes.
    """

    rules: Ruleset | None = None
    ready: Ready = field(default_factory=Ready)
    filled: dict[str, tuple[int, int] | None] | None = None
    first: First | None = None
    why_no_first: str | None = "nobody has made one"
    is_inside: bool = False
    shown: int | None = None
    allows_shown: bool = False

    def fill(self, readable: Iterable[str]) -> None:
        """Allow what one jail makes readable, before the fork: in a fresh fork the same takes twice as long.

        Raises:
            OSError: the kernel refuses; there are no rules then, since they might allow a part.
        """
        if self.rules is None:
            return
        self.filled = {place: _identity(place) for place in readable}
        try:
            self.rules.allow(self.filled)
        except OSError:
            self.rules.close()
            self.rules, self.allows_shown = None, False
            raise

    def suit(self, readable: Iterable[str], own: Own, *, numbers: bool = False) -> None:
        """Keep what a jail needs of this and make the rest: places may be others by now, or have been replaced.

        Args:
            readable: places that the jail makes readable.
            own: what it has in place of the machine's namespaces.
            numbers: whether it has process numbers of its own.

        Raises:
            OSError: the kernel refuses.
        """
        wanted = {place: _identity(place) for place in readable}
        if self.rules is not None and self.filled != wanted:
            if self.filled is not None:
                tcp = self.rules.allows_tcp
                self.rules.close()
                self.rules, self.allows_shown = None, False
                self.rules = common_rules(allow_tcp=tcp)
            self.fill(wanted)
        if numbers:
            self.start_first()
        else:
            self.drop_first()
        if not self.ready.suits(own) or (self.shown is not None and not self._shows_first()):
            self.drop_mounts()

    def _shows_first(self) -> bool:
        return self.first is not None and self.first.pid == self.shown

    def start_first(self) -> None:
        """Start the first process of a PID namespace, if this user may."""
        self.why_no_first = _why_no_numbers()
        if self.why_no_first is None and self.first is None:
            try:
                self.first = start_first()
            except OSError as error:
                self.why_no_first = error.strerror or str(error)

    def make_ready(self, own: Own) -> None:
        """Make the namespaces that a jail has in place of the machine's.

        Raises:
            OSError: the kernel refuses.
        """
        self.ready = namespaces.make_ready(own, self._show_first)

    def _show_first(self) -> None:
        """Mount a ``/proc`` for what is forked later; before Linux 6.18 the fork has to do it."""
        if self.first is None or self.rules is None:
            return
        with suppress(OSError):
            namespaces.mount_processes(f"/proc/self/fd/{self.first.namespace}")
            self.shown = self.first.pid
            self.rules.allow_reading(of_kernel())
            self.allows_shown = True

    def drop_mounts(self) -> None:
        """Close all namespaces but the network."""
        self.ready.drop_mounts()
        self.shown, self.allows_shown = None, False

    def drop_first(self) -> None:
        """End the first process, if there is one; its parent has to wait for it."""
        if self.first is not None:
            self.first.end()
            self.first.close()
        self.first = None

    def fork(self) -> int:
        """Fork, into the PID namespace if there is one; return as ``os.fork`` does.

        Raises:
            OSError: the process could not be forked.
        """
        if self.first is not None:
            try:
                child = fork_into(self.first)
            except OSError as error:
                self.why_no_first = error.strerror or str(error)
                self.drop_first()
                self.drop_mounts()
            else:
                if not child:
                    self.is_inside, self.first = True, None
                return child
        return os.fork()

    def is_filled_with(self, readable: Iterable[str | Path]) -> bool:
        """Whether the rules allow just these places, too."""
        return self.filled is not None and self.filled.keys() == set(map(str, readable))

    @property
    def descriptors(self) -> list[int]:
        """Those that a fork needs until it has entered its jail."""
        held = [] if self.rules is None or self.rules.descriptor < 0 else [self.rules.descriptor]
        return [*held, *self.ready.descriptors]

    def close(self) -> None:
        """Close what it holds, and end the first process; safe to call twice."""
        if self.rules is not None:
            self.rules.close()
        self.rules = None
        self.ready.close()
        self.drop_first()


def make_spare(readable: Iterable[str] = (), own: Own | None = None, *, numbers: bool = False) -> Spare:
    """Make what the next `enter` of a fork of this process needs; a process with one thread may call it.

    Args:
        readable: places that the next jail probably makes readable.
        own: what it probably has in place of the machine's namespaces; None where nobody knows.
        numbers: whether it probably has process numbers of its own.
    """
    spare = Spare()
    if numbers:
        spare.start_first()
    administers = namespaces.may_administer()
    with suppress(OSError):
        spare.rules = common_rules(allow_tcp=administers or _may_leave())
        if own is not None:
            spare.fill(readable)
    if administers:
        if own is not None and _may_return():
            with suppress(OSError):
                spare.make_ready(own)
        if spare.ready.network is None:
            spare.drop_mounts()
            with suppress(OSError):
                spare.ready = namespaces.make_ready()
    return spare


def prepare() -> None:
    """Look up and open, once for all forks of this process, what every jail needs."""
    look_up()
    seccomp.prepare()
    _HELD.extend(_open_places())
    _may_leave()
    _why_no_numbers()
    if namespaces.may_administer():
        _may_return()


def forget() -> None:
    """Hold no longer what `prepare` has opened: a fork that closes its descriptors calls it."""
    _HELD.clear()


def common_rules(*, allow_tcp: bool) -> Ruleset:
    """Return rules that allow what all jails allow.

    Raises:
        OSError: the kernel has no Landlock, or refuses.
    """
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
    paths = [(path, False) for path in (*installed(), *(Path(place) for place, _ in of_kernel()))]
    paths += [(Path("/dev", name), True) for name in _DEVICES]
    return [(place, is_device) for path, is_device in paths if (place := OpenPlace.at(path)) is not None]


def _identity(place: str) -> tuple[int, int] | None:
    """Return what is at a place; rules are of files, not of names, and hold these so that no other gets their number."""
    try:
        found = os.stat(place)
    except OSError:
        return None
    return found.st_dev, found.st_ino


@cache
def _may_leave() -> bool:
    """Whether this user may leave the machine's namespaces; tried in a process of its own."""
    child = os.fork()
    if not child:
        status = 1
        try:
            namespaces.leave(Own(2**20))
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


@cache
def _why_no_numbers() -> str | None:
    return process_numbers.refusal()


@cache
def _may_return() -> bool:
    return namespaces.may_return()


@cache
def of_kernel() -> tuple[tuple[str, bool], ...]:
    """Return what of ``/proc`` says nothing of processes, each with whether it is a folder."""
    places = (f"/proc/{name}" for name in _OF_KERNEL)
    return tuple((place, os.path.isdir(place)) for place in places if os.path.exists(place))


@cache
def installed() -> tuple[Path, ...]:
    """Return where the system, the interpreter and its packages are; asked once for all forks of a process."""
    places = [sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values()]
    packages = [place for place in sys.path if Path(place).name in ("site-packages", "dist-packages")]
    found = {Path(place).resolve() for place in (*places, *packages)}
    found = {place for place in found if not any(map(found.__contains__, place.parents))}
    return (*map(Path, _SYSTEM), *(Path("/etc", name) for name in _SETTINGS), *sorted(found))
