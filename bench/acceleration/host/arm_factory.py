"""Where the arms of a case run: the fork server, leased cores, private directories, limits."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.acceleration.host.jail_plan import JailPlan
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
        jail: what arms may read, where they are jailed; None for a process of its own alone.
        threads: compute threads of an arm; None is one for each leased core.
        has_own_home: whether home and temporary folder of an arm are its private directory.
    """

    server: str
    cores: tuple[Core, ...]
    gpu: int | None
    environment: dict[str, str]
    limits: ArmLimits
    scratch: Path
    logs: Path
    jail: JailPlan | None = None
    threads: int | None = None
    has_own_home: bool = True

    @property
    def isolation(self) -> str:
        """What keeps arms from the rest of the machine: ``jail``, ``process`` or ``none``."""
        if self.jail is not None:
            return "jail"
        return "process" if self.has_own_home else "none"

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
        # One for each launch: what an arm leaves there is for no other.
        self.scratch.mkdir(parents=True, exist_ok=True)
        directory = Path(tempfile.mkdtemp(prefix=f"{name}.{role}.{os.getpid()}.", dir=self.scratch))
        environment = dict(self.environment)
        if self.gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = visible_gpu(environment, self.gpu)
            # Leases and the driver's programs number the cards so; CUDA would begin with the fastest one.
            environment.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
        space = ArmSpace(
            directory=directory,
            log=self.logs / f"{name}.{role}.log",
            environment=environment,
            cpus=self.cpus,
            threads=self.threads or threads_for(list(self.cores)),
            has_own_home=self.has_own_home or role == "scorer",
            # The scorer runs no file of a task, and reads its model wherever that is.
            jail=None
            if self.jail is None or role == "scorer"
            else self.jail.specification(on_gpu=self.gpu is not None),
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
