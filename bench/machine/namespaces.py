"""Linux' namespaces: a process leaves the machine's network, its shared memory and its mounts behind."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterable
from pathlib import Path

from bench.machine.kernel import checked, libc

NAMESPACES = {"network": 0x40000000, "ipc": 0x08000000, "mounts": 0x00020000}
"""By name, the flag of ``unshare``."""
_NEW_USER = 0x10000000
_BIND, _RECURSIVE, _PRIVATE = 0x1000, 0x4000, 1 << 18  # flags of mount
_NO_SUID, _NO_DEVICES = 2, 4
_SHARED_MEMORY = "/dev/shm"
_SET_FLAGS = 0x8914  # SIOCSIFFLAGS
_UP = 0x1
_CAPABILITY_VERSION, _SYS_ADMIN = 0x20080522, 21
# Root may hold files that belong to others; Landlock decides which paths are open at all.
_KEPT = (1 << 1) | (1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


def leave(shared_memory_bytes: int, covered: Iterable[Path] = (), kept: Iterable[Path] = ()) -> None:
    """Leave the machine's network, System V and POSIX shared memory, and mounts; a loopback device of its own stays.

    Call it before there are other threads. A user who is not root gets a user namespace around them, with the own numbers.

    Args:
        shared_memory_bytes: size of the private ``/dev/shm``.
        covered: folders that are empty from here on: Landlock opens and closes files, but not the sockets among them.
        kept: folders that stay what they are wherever they lie.

    Raises:
        OSError: the kernel refuses. Nothing has changed then, or all of the namespaces.
    """
    user, group = os.getuid(), os.getgid()
    flags = sum(NAMESPACES.values())
    if _may_administer():
        checked(libc().unshare(flags))
    else:
        checked(libc().unshare(flags | _NEW_USER))
        Path("/proc/self/setgroups").write_text("deny", encoding="utf-8")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="utf-8")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="utf-8")
    _mount(None, "/", None, _RECURSIVE | _PRIVATE, None)  # what is mounted here is seen nowhere else
    if os.path.isdir(_SHARED_MEMORY):
        options = f"size={shared_memory_bytes},mode=1777".encode()
        _mount(b"tmpfs", _SHARED_MEMORY, b"tmpfs", _NO_SUID | _NO_DEVICES, options)
    _cover(list(covered), list(kept))
    _raise_loopback()


def _cover(covered: list[Path], kept: list[Path]) -> None:
    places = [(folder, os.open(folder, os.O_PATH | os.O_CLOEXEC)) for folder in kept]
    done: list[Path] = []
    for folder in sorted(path.resolve() for path in covered if path.is_dir()):
        if any(other == folder or other in folder.parents for other in done):
            continue
        _mount(b"tmpfs", str(folder), b"tmpfs", _NO_SUID | _NO_DEVICES, b"size=64k,mode=755")
        done.append(folder)
    for folder, place in places:
        if any(other in folder.resolve().parents for other in done):
            folder.mkdir(parents=True)
            _mount(f"/proc/self/fd/{place}".encode(), str(folder), None, _BIND | _RECURSIVE, None)
        os.close(place)


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


def _may_administer() -> bool:
    return bool(_capabilities()[0] >> _SYS_ADMIN & 1)


def _raise_loopback() -> None:
    """Let a pipeline that talks to itself over localhost go on doing so."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        fcntl.ioctl(asking, _SET_FLAGS, struct.pack("16sh22x", b"lo", _UP))


def _mount(source: bytes | None, target: str, kind: bytes | None, flags: int, options: bytes | None) -> None:
    checked(libc().mount(source, target.encode(), kind, ctypes.c_ulong(flags), options))
