"""What collecting the cases came to, left by the process that collected for the one that owns the run."""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bench.core.case import Case
from bench.core.fingerprint import Fingerprint
from bench.core.record import Json

NAME = "collected.json.z"
"""Compressed, since the blank records of ten thousand cases are nearly the same."""


@dataclass
class Collected:
    """What was collected.

    Attributes:
        blanks: blank record of each case, by node id.
        hints: what to tell the user at the end.
        problem: why no case can run, or None.
        fingerprints: by kind, what every case of the kind depends on.
        costs: relative cost of each case, by node id.
    """

    blanks: dict[str, Json] = field(default_factory=dict)
    hints: list[str] = field(default_factory=list)
    problem: str | None = None
    fingerprints: dict[str, Fingerprint] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Leave it in a folder, as a whole.

        Raises:
            OSError: when it cannot be written.
        """
        temporary = folder / f".{NAME}.{os.getpid()}"
        try:
            temporary.write_bytes(zlib.compress(msgspec.json.encode(self), 1))
            temporary.replace(folder / NAME)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    @staticmethod
    @contextmanager
    def claimed(folder: Path) -> Iterator[bool]:
        """Yield whether this process is to leave it in a folder: all workers collect the same, and one is enough.

        A process that dies lets go of its claim.
        """
        with (folder / f"{NAME}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield not (folder / NAME).is_file()

    @classmethod
    def read(cls, folder: Path) -> Collected:
        """Return what was left; empty where nothing was, or nothing that can be read."""
        with suppress(OSError, zlib.error, msgspec.MsgspecError):
            return msgspec.json.decode(zlib.decompress((folder / NAME).read_bytes()), type=cls)
        return cls()


def relative_costs(cases: Mapping[str, Case]) -> dict[str, float]:
    """Return the cost of each case relative to the mean of its kind: kinds count theirs in units of their own."""
    of_kind: dict[str, list[float]] = {}
    for case in cases.values():
        of_kind.setdefault(case.kind, []).append(case.cost)
    means = {kind: sum(costs) / len(costs) or 1.0 for kind, costs in of_kind.items()}
    return {nodeid: case.cost / means[case.kind] for nodeid, case in cases.items()}
