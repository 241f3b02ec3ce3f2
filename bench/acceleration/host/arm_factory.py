"""Where the arms of a case run: the fork server, leased cores, private directories, limits."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.acceleration.host.process import ArmLimits, ArmProcess, ArmSpace
from bench.machine.cores import Core, logical, threads_for


@dataclass(frozen=True)
class ArmFactory:
    """Starts arms on leased cores.

    Attributes:
        server: address of the fork server.
        cores: the leased physical cores.
        gpu: index of the leased GPU, or None on a CPU.
        environment: what arms see of the environment.
        limits: what each arm may use.
        scratch: directory below which private working directories are made.
        logs: directory of the arms' logs.
    """

    server: str
    cores: tuple[Core, ...]
    gpu: int | None
    environment: dict[str, str]
    limits: ArmLimits
    scratch: Path
    logs: Path

    @property
    def device(self) -> str:
        """The device as torch names it."""
        return "cpu" if self.gpu is None else "cuda"

    @property
    def cpus(self) -> tuple[int, ...]:
        """The logical processors of the lease."""
        return tuple(sorted(logical(list(self.cores))))

    @contextmanager
    def start(self, role: str, name: str) -> Iterator[ArmProcess]:
        """Start an arm; leaving the context kills it and removes its private directory."""
        directory = self.scratch / f"{name}.{role}.{os.getpid()}"
        directory.mkdir(parents=True, exist_ok=True)
        environment = dict(self.environment)
        if self.gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = visible_gpu(environment, self.gpu)
        space = ArmSpace(
            directory=directory,
            log=self.logs / f"{name}.{role}.log",
            environment=environment,
            cpus=self.cpus,
            threads=threads_for(list(self.cores)),
        )
        try:
            with ArmProcess(self.server, role=role, space=space, limits=self.limits) as process:
                yield process
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def visible_gpu(environment: dict[str, str], index: int) -> str:
    """Return the value of CUDA_VISIBLE_DEVICES that leaves only the index-th visible GPU."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",")[index].strip() if visible else str(index)
