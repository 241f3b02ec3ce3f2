"""What each process is at, left where the one that owns the run finds it and shows it to people."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

_FOLDER = "doing"
_LEAST_S = 0.2  # between two notes of one stage: rounds of a small model take less


class Doing(msgspec.Struct, frozen=True):
    """What one process is at.

    Attributes:
        case: id of the case.
        stage: a word or two, such as ``loading`` or ``round 12``.
        note: what is known so far, such as a speedup with its interval; empty where nothing is.
        since: when the case began, in seconds since the epoch.
    """

    case: str
    stage: str
    note: str
    since: float


@dataclass
class Teller:
    """Leaves what this process is at; failing to do so disturbs nothing.

    Attributes:
        scratch: of the run; None leaves nothing anywhere.
    """

    scratch: Path | None = None
    _case: str = ""
    _since: float = 0.0
    _told: tuple[str, float] = ("", 0.0)

    def begin(self, case: str) -> None:
        """Say that a case begins."""
        self._case, self._since, self._told = case, time.time(), ("", 0.0)
        self("preparing")

    def end(self) -> None:
        """Say that nothing is being done."""
        self._case = ""
        if self.scratch is not None:
            with suppress(OSError):
                self._file(self.scratch).unlink(missing_ok=True)

    def __call__(self, stage: str, note: str = "") -> None:
        """Say what the case has come to."""
        now = time.monotonic()
        if self.scratch is None or not self._case:
            return
        if stage.split(maxsplit=1)[0] == self._told[0] and now - self._told[1] < _LEAST_S:
            return
        self._told = (stage.split(maxsplit=1)[0], now)
        file = self._file(self.scratch)
        with suppress(OSError):
            file.parent.mkdir(exist_ok=True)
            temporary = file.with_suffix(".new")
            temporary.write_bytes(msgspec.json.encode(Doing(self._case, stage, note, self._since)))
            temporary.replace(file)

    @staticmethod
    def _file(scratch: Path) -> Path:
        return scratch / _FOLDER / f"{os.getpid()}.json"


def all_doing(scratch: Path) -> Iterator[Doing]:
    """Yield what the processes of a run are at, the one that began first at the top."""
    found = []
    for file in (scratch / _FOLDER).glob("*.json"):
        with suppress(OSError, msgspec.MsgspecError):
            found.append(msgspec.json.decode(file.read_bytes(), type=Doing))
    yield from sorted(found, key=lambda doing: doing.since)
