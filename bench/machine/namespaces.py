"""Linux' namespaces: a process leaves the machine's network, its shared memory and its mounts behind."""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import socket
import stat
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.machine.kernel import checked, libc

NAMESPACES = {"network": 0x40000000, "ipc": 0x08000000, "mounts": 0x00020000}
"""By name, the flag of ``unshare``."""
_FILES_OF = {"network": "net", "ipc": "ipc", "mounts": "mnt"}
_NEW_USER = 0x10000000
_BIND, _RECURSIVE, _PRIVATE = 0x1000, 0x4000, 1 << 18  # flags of mount
_NO_SUID, _NO_DEVICES, _NO_PROGRAMS = 2, 4, 8
_SHARED_MEMORY = "/dev/shm"
_FILES = 2**18  # of a private folder: each takes memory of the kernel
_SET_FLAGS = 0x8914  # SIOCSIFFLAGS
_UP = 0x1
_CAPABILITY_VERSION, _SYS_ADMIN = 0x20080522, 21
# Root may hold files that belong to others; Landlock decides which paths are open at all.
_KEPT = (1 << 1) | (1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


@dataclass(frozen=True)
class Own:
    """What a process has for itself once it has left the machine's namespaces.

    Attributes:
        shared_memory_bytes: size of its ``/dev/shm``.
        covered: folders that are empty from here on: Landlock opens and closes files, but not the sockets among them.
            Without links in their paths, like those of `private`.
        private: folders of its own, which stay what they are wherever they lie.
        private_bytes: size of each of these, which then is empty and in memory; None to leave it on its disk, without a
            limit.
    """

    shared_memory_bytes: int
    covered: tuple[str | Path, ...] = ()
    private: tuple[str | Path, ...] = ()
    private_bytes: int | None = None


@dataclass
class Ready:
    """Namespaces that nobody uses yet, for one `leave` of a fork: making them takes most of the time of a jail.

    Attributes:
        network: descriptor of a network with nothing in it but its loopback device; None where there is none ready.
        others: descriptors of the other namespaces, by the flag of ``setns``.
        own: what there is in the mounts among them; what is private is not.
        devices: by covered folder, the device that covers it: a folder that was removed since is no longer covered.
        mounts: descriptor that tells when the machine's mounts change.
    """

    network: int | None = None
    others: dict[int, int] = field(default_factory=dict)
    own: Own | None = None
    devices: dict[str, int] = field(default_factory=dict)
    mounts: int | None = None

    def suits(self, own: Own) -> bool:
        """Whether the mounts are what a process needs; only a disk of its own can be mounted in them afterwards."""
        if self.own is None or own.private_bytes is None or self.is_stale():
            return False
        wanted = (own.shared_memory_bytes, own.covered)
        return (self.own.shared_memory_bytes, self.own.covered) == wanted

    def is_stale(self) -> bool:
        """Whether the machine's mounts have changed since; the first call that finds so is the only one."""
        if self.mounts is None:
            return False
        poller = select.poll()
        poller.register(self.mounts, select.POLLPRI)
        return bool(poller.poll(0))

    @property
    def descriptors(self) -> list[int]:
        """All that it holds: a fork keeps them until it has left."""
        held = [*self.others.values(), self.network, self.mounts]
        return [descriptor for descriptor in held if descriptor is not None]

    def drop_mounts(self) -> None:
        """Close all but the network."""
        network, self.network = self.network, None
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.network, self.others, self.own, self.mounts = network, {}, None, None

    def close(self) -> None:
        """Close all; safe to call twice."""
        self.drop_mounts()
        if self.network is not None:
            os.close(self.network)
        self.network = None


def leave(own: Own, ready: Ready | None = None) -> None:
    """Leave the machine's network, System V and POSIX shared memory, and mounts; a loopback device of its own stays.

    Call it before there are other threads. A user who is not root gets a user namespace around them, with the own numbers.
    The working directory may be another one afterwards.

    Args:
        own: what there is in their place.
        ready: made beforehand (`make_ready`), for nobody else; None to make all of them.

    Raises:
        OSError: the kernel refuses. Nothing has changed then, or some of the namespaces have been left.
    """
    flags = sum(NAMESPACES.values())
    if ready is not None and ready.network is not None and may_administer():
        checked(libc().setns(ready.network, NAMESPACES["network"]))
        if ready.own is not None:
            for kind, descriptor in ready.others.items():
                checked(libc().setns(descriptor, kind))
            _cover(own, ready.devices)
            return
        checked(libc().unshare(flags & ~NAMESPACES["network"]))
    elif may_administer():
        checked(libc().unshare(flags))
        _raise_loopback()
    else:
        user, group = os.getuid(), os.getgid()
        checked(libc().unshare(flags | _NEW_USER))
        Path("/proc/self/setgroups").write_text("deny", encoding="utf-8")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="utf-8")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="utf-8")
        _raise_loopback()
    _part_mounts(own)


def mount_processes(namespace: str | None = None) -> None:
    """Show the processes of a PID namespace in ``/proc``; call it in mounts of its own.

    Args:
        namespace: path of its descriptor, from Linux 6.18 on; None for that of this process.

    Raises:
        OSError: the kernel refuses.
    """
    options = None if namespace is None else f"pidns={namespace}".encode()
    _mount(b"proc", "/proc", b"proc", _NO_SUID | _NO_DEVICES | _NO_PROGRAMS, options)


def make_ready(own: Own | None = None, within: Callable[[], object] | None = None) -> Ready:
    """Return namespaces for one `leave` of a fork, made before anybody asks. The calling process stays in its own.

    Call it in a process with one thread that `may_return`, if `own` is given.

    Args:
        own: what there is to be in them, the private folders apart; None for a network alone.
        within: is called in them, if ``own`` is given.

    Raises:
        OSError: the kernel refuses, as it does to a user who is not root.
    """
    kinds = NAMESPACES if own is not None else {"network": NAMESPACES["network"]}
    here = {kind: _namespace(name) for name, kind in kinds.items()}
    place = os.open(".", os.O_PATH | os.O_CLOEXEC)
    ready = Ready()
    try:
        if own is not None:
            ready.mounts = os.open("/proc/self/mounts", os.O_RDONLY | os.O_CLOEXEC)
        checked(libc().unshare(sum(kinds.values())))
        try:
            _raise_loopback()
            ready.network = _namespace("network")
            if own is not None:
                _part_mounts(replace(own, private=()))
                folders = [str(folder) for folder in own.covered if os.path.ismount(folder)]
                ready.devices = {folder: os.stat(folder).st_dev for folder in folders}
                ready.others = {kind: _namespace(name) for name, kind in kinds.items() if name != "network"}
                if within is not None:
                    within()
                ready.own = own
        finally:
            for kind, descriptor in here.items():
                checked(libc().setns(descriptor, kind))
            os.fchdir(place)  # to enter other mounts is to enter their root
    except BaseException:
        ready.close()
        raise
    finally:
        for descriptor in (*here.values(), place):
            os.close(descriptor)
    return ready


def may_return() -> bool:
    """Whether a process may make all namespaces and be back in its own as if nothing was; a process of its own tries it.

    It may not in a root of its own (``chroot``), and where mounts are refused although the rest is allowed.
    """
    child = os.fork()
    if not child:
        status = 1
        try:
            before = [(os.stat(place).st_dev, os.stat(place).st_ino) for place in ("/", ".")]
            make_ready(Own(2**20)).close()
            after = [(os.stat(place).st_dev, os.stat(place).st_ino) for place in ("/", ".")]
            status = int(before != after)
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def _namespace(name: str) -> int:
    return os.open(f"/proc/self/ns/{_FILES_OF[name]}", os.O_RDONLY | os.O_CLOEXEC)


def _part_mounts(own: Own) -> None:
    _mount(None, "/", None, _RECURSIVE | _PRIVATE, None)  # what is mounted here is seen nowhere else
    if os.path.isdir(_SHARED_MEMORY):
        _mount_memory(_SHARED_MEMORY, f"size={own.shared_memory_bytes},mode=1777")
    _cover(own, {})


def _cover(own: Own, covering: Mapping[str, int]) -> None:
    """Cover folders, but for what is covered already by these devices, and mount what is private."""
    # Paths as texts: resolving them here, in a fresh fork, would take longer than all of the mounts.
    kept = [] if own.private_bytes is not None else [str(folder) for folder in own.private]
    places = [(folder, os.open(folder, os.O_PATH | os.O_CLOEXEC)) for folder in kept]
    done: list[str] = []
    for folder in sorted(map(str, own.covered)):
        if _is_below(folder, done):
            continue
        try:
            found = os.stat(folder)
        except OSError:
            continue
        if not stat.S_ISDIR(found.st_mode):
            continue
        if covering.get(folder) != found.st_dev:
            _mount_memory(folder, "size=64k,mode=755")
        done.append(folder)
    for folder, place in places:
        if _is_below(folder, done):
            os.makedirs(folder)
            _mount(f"/proc/self/fd/{place}".encode(), folder, None, _BIND | _RECURSIVE, None)
        os.close(place)
    if own.private_bytes is not None:
        for folder in map(str, own.private):
            os.makedirs(folder, exist_ok=True)
            _mount_memory(folder, f"size={own.private_bytes},nr_inodes={_FILES},mode=700")


def _is_below(folder: str, others: list[str]) -> bool:
    return any(folder == other or folder.startswith(f"{other}/") for other in others)


def drop_capabilities() -> None:
    """Give up the rights of root, but for those over files, and those that a user namespace gave.

    A process without new privileges (`bench.machine.seccomp.forbid_new_privileges`) gets none back by starting a program.

    Raises:
        OSError: the kernel refuses.
    """
    held = _capabilities()[0] & _KEPT
    low, high = held & 0xFFFFFFFF, held >> 32
    data = struct.pack("=6I", low, low, 0, high, high, 0)
    checked(libc().capset(struct.pack("=Ii", _CAPABILITY_VERSION, 0), data))


def _capabilities() -> tuple[int, int]:
    """Return the effective and the permitted capabilities as sets of bits."""
    data = ctypes.create_string_buffer(24)
    checked(libc().capget(struct.pack("=Ii", _CAPABILITY_VERSION, 0), data))
    low, allowed_low, _, high, allowed_high, _ = struct.unpack("=6I", data.raw)
    return low | high << 32, allowed_low | allowed_high << 32


def may_administer() -> bool:
    """Whether this process may make namespaces without one of users around them, as root may."""
    return bool(_capabilities()[0] >> _SYS_ADMIN & 1)


def _raise_loopback() -> None:
    """Let a pipeline that talks to itself over localhost go on doing so."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        fcntl.ioctl(asking, _SET_FLAGS, struct.pack("16sh22x", b"lo", _UP))


def _mount(source: bytes | None, target: str, kind: bytes | None, flags: int, options: bytes | None) -> None:
    checked(libc().mount(source, target.encode(), kind, ctypes.c_ulong(flags), options))


def _mount_memory(target: str, options: str) -> None:
    _mount(b"tmpfs", target, b"tmpfs", _NO_SUID | _NO_DEVICES, options.encode())
