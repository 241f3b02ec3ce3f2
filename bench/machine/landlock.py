"""Linux' Landlock: a process gives up all files but some, TCP, and signals to processes outside of it, for good.

The numbers are those of ``linux/landlock.h``; see the kernel's Documentation/userspace-api/landlock.rst. What the running
kernel does not know yet is left out, and `restrict` says what it knew.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

from bench.machine.kernel import checked, libc

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on all architectures
_VERSION = 1  # flag of _CREATE_RULESET that asks for the version
_PATH_BENEATH = 1
_EXECUTE, _WRITE, _READ_FILE, _READ_DIR = (1 << bit for bit in range(4))
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
# By version: how many kinds of access to files there are. Later versions added other things.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
_TCP_SINCE, _SCOPES_SINCE = 4, 6
_TCP = 0b11  # to bind and to connect
_SCOPES = 0b11  # abstract Unix sockets and signals
_OF_FILES = (
    _EXECUTE | _WRITE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
)  # what may be granted on what is no folder
_READING = _EXECUTE | _READ_FILE | _READ_DIR
_DEVICE = _READ_FILE | _WRITE | _IOCTL_DEV


def version() -> int:
    """Return the version of the interface that this kernel offers; 0 where it offers none."""
    found: int = libc().syscall(_CREATE_RULESET, None, 0, _VERSION)
    return max(found, 0)


def restrict(
    readable: Iterable[Path], writable: Iterable[Path], devices: Iterable[Path], *, allow_tcp: bool = False
) -> int:
    """Allow this thread, and all that it starts, nothing but these; call it before there are other threads.

    Args:
        readable: files and folders, with all below them, that may be read and executed; what does not
            exist is left out.
        writable: likewise, that may also be changed.
        devices: device files that may be read, written and controlled.
        allow_tcp: whether TCP ports may be bound and connected to.

    Returns:
        The version of the interface that was used.

    Raises:
        OSError: Landlock is missing, or the kernel refuses; nothing is restricted then.
    """
    known = version()
    if not known:
        raise OSError(ctypes.get_errno(), "the kernel offers no Landlock")
    rights = (1 << max(count for since, count in _FILE_RIGHTS.items() if since <= known)) - 1
    attributes = [rights]
    if known >= _TCP_SINCE:
        attributes.append(0 if allow_tcp else _TCP)
    if known >= _SCOPES_SINCE:
        attributes.append(_SCOPES)
    packed = struct.pack(f"={len(attributes)}Q", *attributes)
    ruleset = checked(libc().syscall(_CREATE_RULESET, packed, len(packed), 0))
    try:
        for access, paths in ((_READING, readable), (rights, writable), (_DEVICE, devices)):
            for path in paths:
                _allow(ruleset, path, access & rights)
        checked(libc().syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)
    return known


def _allow(ruleset: int, path: Path, access: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # nothing is there that could be allowed
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            access &= _OF_FILES
        checked(libc().syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", access, place), 0))
    finally:
        os.close(place)
