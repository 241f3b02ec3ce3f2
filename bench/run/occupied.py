"""Folders that a living process occupies, so that what a dead one left can be told from what is in use.

An occupied folder holds a file with a lock that the kernel frees when its process ends, however it ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path

NAME = ".running"


class Occupied:
    """Occupies a folder until it is freed, or until this process ends.

    Args:
        folder: it must exist.
        reserve_bytes: room on the disk that is kept, to be given back when the disk is full.

    Raises:
        BlockingIOError: a living process occupies it.
        OSError: when the file cannot be made.
    """

    def __init__(self, folder: Path, *, reserve_bytes: int = 0) -> None:
        self._path = folder / NAME
        # A new file is locked before it has its name: at no moment does it look like that of a dead process.
        is_new = not self._path.exists()
        opened = folder / f"{NAME}.{os.getpid()}" if is_new else self._path
        self._file = os.open(opened, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_new:
                opened.rename(self._path)
            self._require_still_there()
            if reserve_bytes:
                os.posix_fallocate(self._file, 0, reserve_bytes)
        except OSError:
            os.close(self._file)
            raise

    def _require_still_there(self) -> None:
        """Refuse a lock on a file that the process that had locked it before has removed."""
        try:
            is_there = os.path.samestat(os.stat(self._path), os.fstat(self._file))
        except FileNotFoundError:
            is_there = False
        if not is_there:
            raise BlockingIOError(errno.EAGAIN, "another process has removed this file", str(self._path))

    def shrink_reserve(self, size: int) -> None:
        """Give kept room back, but for so many bytes."""
        with suppress(OSError):
            os.ftruncate(self._file, min(size, os.fstat(self._file).st_size))

    def free(self, *, as_dead: bool = False) -> None:
        """Free the folder.

        Args:
            as_dead: leave the file, so that the folder is found and completed as that of a dead process is.
        """
        self.shrink_reserve(0)
        if not as_dead:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
        with suppress(OSError):
            os.close(self._file)


def take_over(folder: Path) -> Occupied | None:
    """Occupy a folder that a process has left without freeing it; None where there is none or it is in use."""
    if not (folder / NAME).is_file():
        return None
    try:
        return Occupied(folder)
    except OSError:
        return None


def is_occupied(folder: Path) -> bool:
    """Whether a living process occupies a folder."""
    try:
        file = os.open(folder / NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(file)
    return False
