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
from typing import NamedTuple

from bench.machine.kernel import checked, libc

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on all architectures
_VERSION = 1  # flag of _CREATE_RULESET that asks for the version
_PATH_BENEATH = 1
_EXECUTE, _WRITE, _READ_FILE, _READ_DIR = (1 << bit for bit in range(4))
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
# By version: how many kinds of access to files there are. Later versions added other things.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
_TCP_SINCE, SCOPES_SINCE = 4, 6
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


class OpenPlace(NamedTuple):
    """A file or folder that is held open, so that a rule can be made of it many times.

    Attributes:
        descriptor: of the kind that only names it (O_PATH).
        is_folder: whether it is one.
    """

    descriptor: int
    is_folder: bool

    @classmethod
    def at(cls, path: str | Path) -> OpenPlace | None:
        """Return the place of a path; None where nothing is."""
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return None
        return cls(descriptor, stat.S_ISDIR(os.fstat(descriptor).st_mode))


class Ruleset:
    """What is allowed, before it is enforced: a descriptor, which a fork has too.

    Args:
        allow_tcp: whether TCP ports may be bound and connected to.

    Attributes:
        version: of the interface.

    Raises:
        OSError: Landlock is missing, or the kernel refuses.
    """

    def __init__(self, *, allow_tcp: bool = False) -> None:
        self.version, self.allows_tcp = version(), allow_tcp
        if not self.version:
            raise OSError(ctypes.get_errno(), "the kernel offers no Landlock")
        self._rights = (1 << max(count for since, count in _FILE_RIGHTS.items() if since <= self.version)) - 1
        attributes = [self._rights]
        if self.version >= _TCP_SINCE:
            attributes.append(0 if allow_tcp else _TCP)
        if self.version >= SCOPES_SINCE:
            attributes.append(_SCOPES)
        packed = struct.pack(f"={len(attributes)}Q", *attributes)
        self.descriptor = checked(libc().syscall(_CREATE_RULESET, packed, len(packed), 0))

    def allow(
        self,
        readable: Iterable[str | Path | OpenPlace] = (),
        writable: Iterable[str | Path | OpenPlace] = (),
        devices: Iterable[str | Path | OpenPlace] = (),
        listed: Iterable[str | Path | OpenPlace] = (),
    ) -> None:
        """Allow files and folders, with all below them; what does not exist is left out.

        Args:
            readable: may be read and executed.
            writable: may also be changed.
            devices: device files that may be read, written and controlled.
            listed: folders of which the names of all that lies below them may be read.
        """
        given = ((_READING, readable), (self._rights, writable), (_DEVICE, devices), (_READ_DIR, listed))
        for access, places in given:
            for place in places:
                self._add(place, access & self._rights)

    def allow_reading(self, places: Iterable[tuple[str, bool]]) -> None:
        """Allow to read files and folders, as `allow` does in twice the time.

        Args:
            places: paths, with whether they are of folders.

        Raises:
            OSError: the kernel refuses.
        """
        add = libc().syscall
        of_folder = _READING & self._rights
        for path, is_folder in places:
            try:
                descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:  # nothing is there that could be allowed
                continue
            rule = struct.pack("=Qi", of_folder if is_folder else of_folder & _OF_FILES, descriptor)
            added = add(_ADD_RULE, self.descriptor, _PATH_BENEATH, rule, 0)
            os.close(descriptor)
            checked(added)

    def enforce(self) -> None:
        """Allow this thread, and all that it starts, nothing else; call it before there are other threads.

        Raises:
            OSError: the kernel refuses; nothing is restricted then.
        """
        checked(libc().syscall(_RESTRICT_SELF, self.descriptor, 0))

    def close(self) -> None:
        """Close the descriptor; what is enforced stays."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1

    def _add(self, place: str | Path | OpenPlace, access: int) -> None:
        opened = place if isinstance(place, OpenPlace) else OpenPlace.at(place)
        if opened is None:  # nothing is there that could be allowed
            return
        try:
            rule = struct.pack("=Qi", access if opened.is_folder else access & _OF_FILES, opened.descriptor)
            checked(libc().syscall(_ADD_RULE, self.descriptor, _PATH_BENEATH, rule, 0))
        finally:
            if opened is not place:
                os.close(opened.descriptor)
