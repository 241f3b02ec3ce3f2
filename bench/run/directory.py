"""The run's directory: ``<work-dir>/<timestamp>``, the link ``latest``, and the directories of runs that died."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from bench.core.kind import Kind
from bench.core.record import Json
from bench.core.runs import become_latest
from bench.run.completion import complete
from bench.run.occupied import Occupied, take_over

FOLDERS = ("configs", "logs", "predictions", "results")
# Room that is kept until the disk is full: for the records of cases that are under way then, and for JUnit's file.
_RECORDS_BYTES = 2**19
_JUNIT_BYTES, _JUNIT_BYTES_OF_A_CASE = 2**16, 900


class RunDirectory:
    """Makes a run's directory.

    Args:
        work_dir: where it is made.
        began: when the run began; names the directory.
        options: for ``configs/options.json``.
        kinds: by name, to complete what dead runs left.
        cases: how many were collected.

    Attributes:
        path: the directory, absolute.

    Raises:
        OSError: when it cannot be made.
    """

    def __init__(
        self, work_dir: Path, began: datetime, options: Json, kinds: Mapping[str, Kind], *, cases: int
    ) -> None:
        self._work_dir, self._kinds = work_dir, kinds
        self.path = _make(work_dir, stamp(began)).resolve()
        self._room_for_junit = _JUNIT_BYTES + cases * _JUNIT_BYTES_OF_A_CASE
        self._occupied = Occupied(self.path, reserve_bytes=_RECORDS_BYTES + self._room_for_junit)
        for name in FOLDERS:
            (self.path / name).mkdir()
        text = json.dumps(options, indent=1, default=str)
        (self.path / "configs" / "options.json").write_text(text + "\n", encoding="utf-8")

    def release_reserve(self) -> None:
        """Give back the room that was kept for records, once the disk is full; that for JUnit's file stays until the end."""
        self._occupied.shrink_reserve(self._room_for_junit)

    def become_latest(self) -> None:
        """Point the link ``latest`` here, atomically."""
        become_latest(self.path)

    def complete_dead(self) -> list[Path]:
        """Complete the results of runs in the same work directory that died; return their directories."""
        completed = []
        for folder in sorted(self._work_dir.iterdir()):
            if folder.is_symlink() or not folder.is_dir() or folder.resolve() == self.path:
                continue
            occupied = take_over(folder)
            if occupied is None:
                continue
            with suppress(OSError, ValueError):  # a damaged one must not end this run
                if complete(folder, self._kinds) is not None:
                    completed.append(folder)
            occupied.free()
        return completed

    def free(self, *, is_complete: bool) -> None:
        """Say that no process writes here any more, and whether the next run has to complete the results."""
        self._occupied.free(as_dead=not is_complete)


def stamp(began: datetime) -> str:
    """Return the name of the directory of a run that began then."""
    return began.strftime("%Y%m%d_%H%M%S")


def _make(work_dir: Path, name: str) -> Path:
    directory, number = work_dir / name, 1
    while True:
        try:
            directory.mkdir(parents=True)
            return directory
        except FileExistsError:  # another run of the same second
            if not work_dir.is_dir():
                raise
            number += 1
            directory = work_dir / f"{name}_{number}"
