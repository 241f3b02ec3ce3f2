"""Small file systems for tests, outside of pytest's own folders.

A run of the tests that is killed leaves its mounts behind. In a folder of pytest's, which a later run deletes, such a mount
would end that run; here the next test that needs one takes it away.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_PLACE, _NAME = Path("/tmp"), "modelgate-disk-"


@contextmanager
def small_disk(options: str) -> Iterator[Path]:
    """Mount a tmpfs until the context is left; skip the test where this user may not.

    Args:
        options: of mount, such as ``size=2m``.
    """
    _take_away_what_others_left()
    folder = Path(tempfile.mkdtemp(prefix=f"{_NAME}{os.getpid()}-", dir=_PLACE))
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        folder.rmdir()
        pytest.skip("mounting a small file system takes rights that this user has not")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


def _take_away_what_others_left() -> None:
    for folder in _PLACE.glob(f"{_NAME}*"):
        owner = folder.name.removeprefix(_NAME).partition("-")[0]
        if not Path("/proc", owner).exists():
            subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)
            with suppress(OSError):  # another worker was first
                folder.rmdir()
