"""The run as a worker sees it: where it writes, what it may lease, which services it can ask for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from bench.core.errors import CaseProblem, InfrastructureProblem
from bench.core.record import Json
from bench.machine.cores import Core, slot_size
from bench.machine.lease import Lease, MachineBusy, ServiceRefused, service_address

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
class Seeds:
    """The seeds of a run, equal where ``--seed`` was given.

    Attributes:
        drawn: of what a candidate must not know beforehand; another one in every run unless it was given.
        steady: of everything else, such as trainings and bootstraps; 0 unless it was given.
    """

    drawn: int
    steady: int = 0


@dataclass(frozen=True)
class RunView:
    """The run as a worker sees it.

    Attributes:
        scratch: temporary directory of the run, shared by its workers.
        address: socket of the lease server.
        seeds: of the run.
        workers: number of processes that run cases.
        cores: physical cores of the whole run; a lease names indices into it.
        latest: the newest run in the work directory when this one began, or None.
    """

    scratch: Path
    address: str
    seeds: Seeds
    workers: int
    cores: tuple[Core, ...]
    latest: Path | None = None

    def to_workerinput(self) -> Json:
        """Return the view as plain builtins, for xdist's ``workerinput``."""
        return {
            "scratch": str(self.scratch),
            "address": self.address,
            "seeds": [self.seeds.drawn, self.seeds.steady],
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
            Seeds(*data["seeds"]),
            data["workers"],
            tuple(tuple(core) for core in data["cores"]),
            None if data["latest"] is None else Path(data["latest"]),
        )

    def service(self, name: str) -> str:
        """Return the address of a service of a kind; the first who asks starts it, and again should it have died.

        Raises:
            InfrastructureProblem: it could not be started.
        """
        try:
            return service_address(self.address, name)
        except ServiceRefused as problem:
            raise InfrastructureProblem("service_died", f"the {name} cannot be had: {problem}") from problem

    def lease(self, *, on_gpu: bool, exclusive: bool) -> CaseLease:
        """Return the lease of one case: a GPU, or its share of the cores; all of them where it is exclusive."""
        return CaseLease(self.address, self.cores_of_a_case(on_gpu=on_gpu, exclusive=exclusive))

    def cores_of_a_case(self, *, on_gpu: bool, exclusive: bool) -> int:
        """Return how many cores, or GPUs, a case has for itself."""
        if exclusive:
            return len(self.cores)
        return 1 if on_gpu else slot_size(len(self.cores), self.workers)

    @property
    def known_directory(self) -> Path | None:
        """The run's directory where this process has asked for it already; asking makes it."""
        return vars(self).get("directory")

    @cached_property
    def directory(self) -> Path:
        """The run's directory, ``<work-dir>/<timestamp>``."""
        return Path(service_address(self.address, DIRECTORY))


def idle_workers(view: RunView, *, gpus: int | None, exclusive: bool) -> str | None:
    """Return a sentence on workers that can only wait for a lease, None where each can have one.

    Args:
        view: of the run.
        gpus: how many GPUs are leased; None where cores are.
        exclusive: whether one case has all cores, or all GPUs.
    """
    if exclusive:
        at_once, why = 1, "--exclusive leases everything to one case"
    elif gpus is not None:
        at_once, why = gpus, "1 GPU is usable" if gpus == 1 else f"{gpus} GPUs are usable"
    else:
        cores = len(view.cores)
        at_once = cores // slot_size(cores, view.workers)
        why = "1 core is usable" if cores == 1 else f"{cores} cores are usable"
    waiting = view.workers - at_once
    if waiting <= 0:
        return None
    advice = "leave out -n" if at_once == 1 else f"use -n {at_once}"
    compute = "1 worker computes" if at_once == 1 else f"{at_once} workers compute"
    waits = "1 waits" if waiting == 1 else f"{waiting} wait"
    return f"-n {view.workers}: {why}, so {compute} at once and {waits}; {advice}"
