"""Temporary space of a run, and what dead runs left of theirs."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from bench.run.occupied import Occupied, take_over

PREFIX = "modelgate-run-"
# A Unix socket's path may have about 108 bytes; a long TMPDIR leaves no room for the name.
_MAX_LENGTH = 76


class Scratch:
    """Makes the temporary space of a run, after it has removed that of runs that died.

    Attributes:
        path: the folder.
    """

    def __init__(self) -> None:
        base = tempfile.gettempdir()
        base = base if len(os.fsencode(base)) < _MAX_LENGTH else "/tmp"
        remove_dead(Path(base))
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        self._occupied = Occupied(self.path)

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._occupied.free()


def remove_dead(base: Path) -> list[Path]:
    """Remove the temporary space of this user's runs that have died; return what was removed."""
    removed = []
    for folder in base.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            occupied = take_over(folder)
            if occupied is not None:
                shutil.rmtree(folder, ignore_errors=True)
                occupied.free()
                removed.append(folder)
    return removed
