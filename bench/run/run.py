"""The run: what the process that began it owns, and what each worker sees of it.

:class:`Run` lives in the controller (or in the only process of a serial run): scratch space, the lease
server, the fork server, the run's directory and its records. :class:`RunView` is the same run seen from
a worker, through the lease server's socket. Everything heavy starts when it is first asked for.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.machine.cores import Core, slot_size, usable_cores
from bench.machine.environment import describe_environment
from bench.machine.lease import Lease, LeaseServer, service_address
from bench.machine.scrub import scrubbed_environment
from bench.report.results import ResultsFile

# A Unix socket's path may have about 108 bytes; a long TMPDIR leaves no room for the name.
_MAX_SCRATCH_LENGTH = 80
_PRELOAD_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class RunView:
    """The run as a worker sees it.

    Attributes:
        scratch: temporary directory of the run, shared by its workers.
        address: socket of the lease server.
        seed: the run's seed.
        workers: number of processes that run cases.
        cores: physical cores of the whole run; a lease names indices into it.
    """

    scratch: Path
    address: str
    seed: int
    workers: int
    cores: tuple[Core, ...]

    def to_workerinput(self) -> dict[str, Any]:
        """Return the view as plain builtins, for xdist's ``workerinput``."""
        return {
            "scratch": str(self.scratch),
            "address": self.address,
            "seed": self.seed,
            "workers": self.workers,
            "cores": [list(core) for core in self.cores],
        }

    @classmethod
    def from_workerinput(cls, data: dict[str, Any]) -> RunView:
        """Rebuild the view in a worker."""
        return cls(
            Path(data["scratch"]),
            data["address"],
            data["seed"],
            data["workers"],
            tuple(tuple(core) for core in data["cores"]),
        )

    @property
    def fork_server(self) -> str:
        """Address of the fork server, started by the first who asks, and again should it have died."""
        return service_address(self.address, "fork_server")

    def lease(self, *, on_gpu: bool, exclusive: bool) -> Lease:
        """Return the lease of one case: a GPU, or its share of the cores; all of them where it is exclusive."""
        share = 1 if on_gpu else slot_size(len(self.cores), self.workers)
        return Lease(self.address, len(self.cores) if exclusive else share)

    @cached_property
    def directory(self) -> Path:
        """The run's directory, ``<work-dir>/<timestamp>``."""
        return Path(service_address(self.address, "directory"))


class Run:
    """Owns a run from its start to its summary.

    Args:
        work_dir: where the run's directory is made.
        root: the repository, for its commit.
        command: the command line, for the record.
        options: resolved options, for ``configs/``.
        seed: the run's seed.
        workers: number of processes that run cases.
        resource_count: what the lease server leases: cores, or GPUs.
        pass_env: names of environment variables that arms may see besides the usual ones.
    """

    def __init__(
        self,
        *,
        work_dir: Path,
        root: Path,
        command: str,
        options: dict[str, Any],
        seed: int,
        workers: int,
        resource_count: int | None,
        pass_env: tuple[str, ...] = (),
    ) -> None:
        self._work_dir, self._root, self._command, self._options = work_dir, root, command, options
        self._pass_env = pass_env
        base = tempfile.gettempdir()
        self.scratch = Path(
            tempfile.mkdtemp(prefix="modelgate-", dir=base if len(base) < _MAX_SCRATCH_LENGTH else "/tmp")
        )
        cores = tuple(usable_cores())
        self._leases = LeaseServer(
            self.scratch / "leases",
            len(cores) if resource_count is None else resource_count,
            {"fork_server": self._start_fork_server, "directory": self._make_directory},
        ).start()
        self.view = RunView(self.scratch, str(self._leases.address), seed, workers, cores)
        self._fork_server: subprocess.Popen | None = None
        self._fork_server_address = ""
        self._fork_servers = 0
        self._directory: Path | None = None
        self.results: ResultsFile | None = None
        self._began = datetime.now(UTC)

    def add_record(self, nodeid: str, record: dict[str, Any]) -> None:
        """Take the record of a finished case and write it out at once."""
        self._open_results().add(nodeid, record)

    def collected(self) -> dict[str, dict[str, Any]]:
        """Return the blank record of each collected case by node id, as the workers left them."""
        with suppress(FileNotFoundError):
            blanks: dict[str, dict[str, Any]] = json.loads((self.scratch / "collected.json").read_text())
            return blanks
        return {}

    def finish(self) -> None:
        """Give every collected case without a record its blank one, and write the summary."""
        for nodeid, blank in self.collected().items():
            results = self._open_results()
            if nodeid not in results.records:
                results.add(nodeid, blank)

    def close(self) -> None:
        """End the servers and remove the scratch space; nothing of the run computes afterwards."""
        if self._fork_server is not None:
            self._fork_server.terminate()
            try:
                self._fork_server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._fork_server.kill()
                self._fork_server.wait()
        self._leases.stop()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _open_results(self) -> ResultsFile:
        if self.results is None:
            directory = Path(self._make_directory())
            self.results = ResultsFile(
                directory / "evaluation_results.json",
                {
                    "id": directory.name,
                    "started": self._began.isoformat(timespec="seconds"),
                    "command": self._command,
                    "seed": self.view.seed,
                    "workers": self.view.workers,
                    "environment": describe_environment(self._root),
                },
            )
        return self.results

    def _make_directory(self) -> str:
        if self._directory is None:
            stamp = self._began.strftime("%Y%m%d_%H%M%S")
            directory, number = self._work_dir / stamp, 1
            while True:
                try:
                    directory.mkdir(parents=True)
                    break
                except FileExistsError:  # another run of the same second
                    number += 1
                    directory = self._work_dir / f"{stamp}_{number}"
            for name in ("configs", "logs", "predictions", "results"):
                (directory / name).mkdir()
            (directory / "configs" / "options.json").write_text(
                json.dumps(self._options, indent=1, default=str)
            )
            _point(self._work_dir / "latest", directory.name)
            self._directory = directory.resolve()
        return str(self._directory)

    def _start_fork_server(self) -> str:
        if self._fork_server is None or self._fork_server.poll() is not None:
            self._fork_servers += 1
            address = str(self.scratch / f"fork{self._fork_servers}")
            log = Path(self._make_directory()) / "logs" / "forkserver.log"
            environment = scrubbed_environment(dict(os.environ), self._pass_env)
            # Without a pool in the server there is nothing that a fork could tear apart.
            environment |= {
                "OPENBLAS_NUM_THREADS": "1",
                "OMP_NUM_THREADS": "1",
                "TOKENIZERS_PARALLELISM": "false",
            }
            with open(log, "ab") as errors:
                self._fork_server = subprocess.Popen(
                    [sys.executable, "-m", "bench.acceleration.host.forkserver", address],
                    cwd=Path(__file__).resolve().parents[2],
                    env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                )  # fmt: skip
            self._await_ready(log)
            self._fork_server_address = address
        return self._fork_server_address

    def _await_ready(self, log: Path) -> None:
        assert self._fork_server is not None
        assert self._fork_server.stdout is not None
        began = time.monotonic()
        line = self._fork_server.stdout.readline()
        if line.strip() != b"ready":
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
            raise RuntimeError(
                f"the fork server ended while it imported torch and diffusers, after "
                f"{time.monotonic() - began:.0f} s:\n{tail}"
            )


def _point(link: Path, target: str) -> None:
    """Point a symbolic link at a directory, atomically."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    with suppress(OSError):  # a file system without links has no `latest`
        temporary.symlink_to(target)
        temporary.replace(link)
