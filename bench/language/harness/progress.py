"""How far the tasks of a run are, for the groups that wait for them."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

_PAUSE_S = 0.2
# So long no task may be running before a group gives up those that have not begun.
_PATIENCE_S = 20.0


class Progress:
    """Says that a case is running, and whether it came to its end; a process that dies says so by dying.

    Args:
        scratch: folder that the workers of a run share.
        model: of the case.
        name: id of the case.
    """

    def __init__(self, scratch: Path, model: str, name: str) -> None:
        folder = scratch / "harness" / model
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / name
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        """Begin."""
        self._file = open(self._path, "w", encoding="utf-8")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return self

    def done(self) -> None:
        """Say that the case has a result."""
        assert self._file is not None
        self._file.write("done")
        self._file.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        if self._file is not None:
            self._file.close()


def wait_for(scratch: Path, model: str, names: Iterable[str], patience_s: float = _PATIENCE_S) -> list[str]:
    """Wait until cases have ended; return those that have no result.

    Args:
        scratch: as for `Progress`.
        model: of the cases.
        names: ids of the cases.
        patience_s: how long to wait for cases that have not begun while no case of any model is running.
    """
    folder = scratch / "harness"
    quiet_since = time.monotonic()
    names = list(names)
    while True:
        states = {name: _state(folder / model / name) for name in names}
        if not {"running", "not begun"} & set(states.values()):
            break
        if any(_state(path) == "running" for path in folder.glob("*/*")):
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since > patience_s:
            break
        time.sleep(_PAUSE_S)
    return [name for name, state in states.items() if state != "done"]


def _state(path: Path) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return "running"
            return "done" if file.read() else "failed"
    except FileNotFoundError:
        return "not begun"
