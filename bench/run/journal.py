"""records.jsonl: each record the moment it arrives, so that no end of a run loses one.

The first line says what is known of the run, ``{"run": {...}}``; each other one is ``{"nodeid": ..., "record": {...}}``. A
line is written with one call and reaches the operating system at once, so that SIGKILL loses nothing; once a second at
most it also reaches the disk, so that a power failure loses little. The last line of a record counts. A line without an
end was cut short and is left out.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench.core.record import Json

NAME = "records.jsonl"
_SYNC_INTERVAL_S = 1.0


class Journal:
    """Appends the records of a run.

    Args:
        path: the file; it must not exist.
        head: what is known of the run.

    Raises:
        OSError: when it cannot be written.
    """

    def __init__(self, path: Path, head: Json) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._synced = time.monotonic()
        self.size = 0
        try:
            self._write({"run": head})
        except OSError:
            self.close()
            path.unlink(missing_ok=True)
            raise

    def append(self, nodeid: str, record: Json) -> None:
        """Append a record.

        Raises:
            OSError: when it cannot be written; what was there before still reads the same.
        """
        self._write({"nodeid": nodeid, "record": record})

    def end(self, head: Json) -> None:
        """Append what is known of the run at its end; the last such line counts.

        Raises:
            OSError: when it cannot be written.
        """
        self._write({"run": head})

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write(self, line: Json) -> None:
        data = msgspec.json.encode(line) + b"\n"
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError:
            os.ftruncate(self._file, self.size)  # half a line would swallow the next one
            raise
        self.size += len(data)
        now = time.monotonic()
        if now - self._synced >= _SYNC_INTERVAL_S:
            os.fdatasync(self._file)
            self._synced = now


@dataclass(frozen=True)
class Journaled:
    """What a journal holds.

    Attributes:
        run: what is known of the run.
        records: by node id, in the order of their first lines.
    """

    run: Json
    records: dict[str, Json]


def read_journal(path: Path) -> Journaled:
    """Return what a journal holds; a line that was cut short, or that is damaged, is left out.

    Raises:
        OSError: when it cannot be read.
    """
    run: Json = {}
    records: dict[str, Json] = {}
    *lines, _ = path.read_bytes().split(b"\n")
    for line in lines:
        try:
            entry: Any = msgspec.json.decode(line)
            if "run" in entry:
                run = entry["run"]
            else:
                records[entry["nodeid"]] = entry["record"]
        except (msgspec.DecodeError, KeyError, TypeError):  # a disk that lost a block
            continue
    return Journaled(run, records)
