"""The run as a worker sees it: where it writes, what it may lease, which services it can ask for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from bench.core.errors import CaseProblem
from bench.core.record import Json
from bench.machine.cores import Core, slot_size
from bench.machine.lease import Lease, MachineBusy, service_address

DIRECTORY = "directory"


class CaseLease(Lease):
    """The lease of one case; what it cannot get ends the case with a reason code."""

    def __enter__(self) -> Self:
        """Wait for the lease.

        Raises:
            CaseProblem: when another run holds what it takes, and the run does not wait.
        """
        try:
            return super().__enter__()
        except MachineBusy as problem:
            raise CaseProblem("machine_busy", str(problem)) from problem


@dataclass(frozen=True)
class RunView:
    """The run as a worker sees it.

    Attributes:
        scratch: temporary directory of the run, shared by its workers.
        address: socket of the lease server.
        seed: the run's seed.
        workers: number of processes that run cases.
        cores: physical cores of the whole run; a lease names indices into it.
        latest: the newest run in the work directory when this one began, or None.
    """

    scratch: Path
    address: str
    seed: int
    workers: int
    cores: tuple[Core, ...]
    latest: Path | None = None

    def to_workerinput(self) -> Json:
        """Return the view as plain builtins, for xdist's ``workerinput``."""
        return {
            "scratch": str(self.scratch),
            "address": self.address,
            "seed": self.seed,
            "workers": self.workers,
            "cores": [list(core) for core in self.cores],
            "latest": None if self.latest is None else str(self.latest),
        }

    @classmethod
    def from_workerinput(cls, data: Json) -> RunView:
        """Return the view in a worker."""
        return cls(
            Path(data["scratch"]),
            data["address"],
            data["seed"],
            data["workers"],
            tuple(tuple(core) for core in data["cores"]),
            None if data["latest"] is None else Path(data["latest"]),
        )

    def service(self, name: str) -> str:
        """Return the address of a service of a kind; the first who asks starts it, and again should it have died."""
        return service_address(self.address, name)

    def lease(self, *, on_gpu: bool, exclusive: bool) -> CaseLease:
        """Return the lease of one case: a GPU, or its share of the cores; all of them where it is exclusive."""
        share = 1 if on_gpu else slot_size(len(self.cores), self.workers)
        return CaseLease(self.address, len(self.cores) if exclusive else share)

    @cached_property
    def directory(self) -> Path:
        """The run's directory, ``<work-dir>/<timestamp>``."""
        return Path(service_address(self.address, DIRECTORY))
