"""Linux' namespaces: a process leaves the machine's network, its shared memory and its mounts behind."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from bench.machine.kernel import checked, libc

NAMESPACES = {"network": 0x40000000, "ipc": 0x08000000, "mounts": 0x00020000}
"""By name, the flag of ``unshare``."""
_NEW_USER = 0x10000000
_BIND, _RECURSIVE, _PRIVATE = 0x1000, 0x4000, 1 << 18  # flags of mount
_NO_SUID, _NO_DEVICES = 2, 4
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


def leave(own: Own, network: int | None = None) -> None:
    """Leave the machine's network, System V and POSIX shared memory, and mounts; a loopback device of its own stays.

    Call it before there are other threads. A user who is not root gets a user namespace around them, with the own numbers.

    Args:
        own: what there is in their place.
        network: descriptor of a network that nobody else uses (`new_network`); None to make one.

    Raises:
        OSError: the kernel refuses. Nothing has changed then, or all of the namespaces.
    """
    user, group = os.getuid(), os.getgid()
    flags = sum(NAMESPACES.values())
    if network is not None and may_administer():
        checked(libc().unshare(flags & ~NAMESPACES["network"]))
        checked(libc().setns(network, NAMESPACES["network"]))
    elif may_administer():
        checked(libc().unshare(flags))
        _raise_loopback()
    else:
        checked(libc().unshare(flags | _NEW_USER))
        Path("/proc/self/setgroups").write_text("deny", encoding="utf-8")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="utf-8")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="utf-8")
        _raise_loopback()
    _mount(None, "/", None, _RECURSIVE | _PRIVATE, None)  # what is mounted here is seen nowhere else
    if os.path.isdir(_SHARED_MEMORY):
        _mount_memory(_SHARED_MEMORY, f"size={own.shared_memory_bytes},mode=1777")
    _cover(own)


def new_network() -> int:
    """Return a descriptor of a new network with nothing in it but its loopback device, for one `leave`.

    Making one takes longer than all else of a jail, so a fork server does it before anybody asks. The calling process stays
    in its own.

    Raises:
        OSError: the kernel refuses, as it does to a user who is not root.
    """
    kind = NAMESPACES["network"]
    here = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        checked(libc().unshare(kind))
        try:
            _raise_loopback()
            return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            checked(libc().setns(here, kind))
    finally:
        os.close(here)


def _cover(own: Own) -> None:
    # Paths as texts: resolving them here, in a fresh fork, would take longer than all of the mounts.
    kept = [] if own.private_bytes is not None else [str(folder) for folder in own.private]
    places = [(folder, os.open(folder, os.O_PATH | os.O_CLOEXEC)) for folder in kept]
    done: list[str] = []
    for folder in sorted(map(str, own.covered)):
        if _is_below(folder, done) or not os.path.isdir(folder):
            continue
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
