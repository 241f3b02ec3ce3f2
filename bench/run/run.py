"""The run: what the process that began it owns.

:class:`Run` lives in the controller, or in the only process of a serial run: scratch space, the lease server, services of
the kinds, the run's directory and its records. Everything heavy starts when it is first asked for.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bench.core.errors import UsageProblem
from bench.core.files import replace_file
from bench.core.kind import Kind, Service, ServiceRun
from bench.core.record import Json
from bench.machine.cores import core_names, usable_cores
from bench.machine.environment import describe_environment
from bench.machine.lease import LeaseServer, busy_message
from bench.machine.machine_lease import MachineLocks, gpu_names
from bench.report.results import ResultsFile
from bench.run.view import DIRECTORY, RunView

# A Unix socket's path may have about 108 bytes; a long TMPDIR leaves no room for the name.
_MAX_SCRATCH_LENGTH = 80
_COLLECTED = "collected.json"
# A run that tries to lock several cores holds some for a moment.
_SECOND_LOOK_S = 0.2


@dataclass(frozen=True)
class RunSettings:
    """What a run is begun with.

    Attributes:
        work_dir: where the run's directory is made.
        root: the repository, for its commit.
        command: the command line, for the record.
        seed: the run's seed.
        workers: number of processes that run cases.
        resource_count: how many GPUs are leased; None to lease cores.
        user_dirs: folders with users' code, for services.
        pass_env: names of environment variables that arms may see besides the usual ones.
        wait: whether cases wait for cores and GPUs that another run on this machine holds.
    """

    work_dir: Path
    root: Path
    command: str
    seed: int
    workers: int
    resource_count: int | None
    user_dirs: tuple[Path, ...] = ()
    pass_env: tuple[str, ...] = ()
    wait: bool = True


@dataclass
class Collected:
    """What a process that collected has left for the one that owns the run.

    Attributes:
        blanks: blank record of each case, by node id.
        hints: what to tell the user at the end.
        problem: why no case can run, or None.
    """

    blanks: dict[str, Json]
    hints: list[str]
    problem: str | None = None

    def write(self, scratch: Path) -> None:
        """Leave it in the run's scratch directory."""
        replace_file(scratch / _COLLECTED, json.dumps(vars(self)))

    @classmethod
    def read(cls, scratch: Path) -> Collected:
        """Return what was left; empty where nothing was."""
        with suppress(FileNotFoundError):
            return cls(**json.loads((scratch / _COLLECTED).read_text(encoding="utf-8")))
        return cls({}, [])


class Run:
    """Owns a run from its start to its summary.

    Args:
        settings: what it is begun with.
        kinds: by name.
        options: returns the options by kind, for ``configs/``; called when the run's directory is made.
        tell: shows a line to the user; called from another thread.

    Attributes:
        results: the records; None until the first one.

    Raises:
        UsageProblem: when other runs hold all that could be leased, and the run does not wait.
    """

    def __init__(
        self,
        settings: RunSettings,
        kinds: Mapping[str, Kind],
        options: Callable[[], Json],
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.settings, self._kinds, self._options = settings, kinds, options
        self._directory: Path | None = None
        self._began = datetime.now(UTC)
        cores = tuple(usable_cores())
        count = settings.resource_count
        locks = MachineLocks(core_names(cores) if count is None else gpu_names(count), self._name)
        if not settings.wait:
            _refuse_busy_machine(locks)
        base = tempfile.gettempdir()
        self.scratch = Path(
            tempfile.mkdtemp(prefix="modelgate-", dir=base if len(base) < _MAX_SCRATCH_LENGTH else "/tmp")
        )
        services: dict[str, Callable[[], str]] = {DIRECTORY: self._make_directory}
        for kind in kinds.values():
            for name, start in kind.services.items():
                services[name] = partial(self._service, name, start)
        self._leases = LeaseServer(
            self.scratch / "leases",
            len(locks.names),
            services,
            locks=locks,
            wait=settings.wait,
            tell=tell,
        ).start()
        self.view = RunView(
            self.scratch, str(self._leases.address), settings.seed, settings.workers, cores,
            _target(settings.work_dir / "latest"),
        )  # fmt: skip
        self._services: dict[str, Service] = {}
        self._started: dict[str, int] = {}
        self.results: ResultsFile | None = None

    def add_record(self, nodeid: str, record: Json) -> None:
        """Take the record of a finished case and write it immediately."""
        self._open_results().add(nodeid, record)

    def collected(self) -> Collected:
        """Return what the workers collected."""
        return Collected.read(self.scratch)

    def finish(self) -> None:
        """Give every collected case without a record its blank one, and write the summary."""
        for nodeid, blank in self.collected().blanks.items():
            results = self._open_results()
            if nodeid not in results.records:
                results.add(nodeid, blank)

    def close(self) -> None:
        """End the services and remove the scratch space; nothing of the run computes afterwards."""
        for service in self._services.values():
            service.stop()
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
                    "command": self.settings.command,
                    "seed": self.view.seed,
                    "workers": self.view.workers,
                    "environment": describe_environment(self.settings.root),
                },
                self._kinds,
            )
        return self.results

    def _name(self) -> str:
        """Return the name of the run's directory, also before there is one."""
        return self._began.strftime("%Y%m%d_%H%M%S") if self._directory is None else self._directory.name

    def _make_directory(self) -> str:
        if self._directory is None:
            work_dir = self.settings.work_dir
            stamp = self._name()
            directory, number = work_dir / stamp, 1
            while True:
                try:
                    directory.mkdir(parents=True)
                    break
                except FileExistsError:  # another run of the same second
                    number += 1
                    directory = work_dir / f"{stamp}_{number}"
            for name in ("configs", "logs", "predictions", "results"):
                (directory / name).mkdir()
            options = json.dumps(self._options(), indent=1, default=str)
            (directory / "configs" / "options.json").write_text(options + "\n", encoding="utf-8")
            _point(work_dir / "latest", directory.name)
            self._directory = directory.resolve()
        return str(self._directory)

    def _service(self, name: str, start: Callable[[ServiceRun], Service]) -> str:
        service = self._services.get(name)
        if service is None or not service.is_alive():
            self._started[name] = self._started.get(name, 0) + 1
            service = self._services[name] = start(
                ServiceRun(
                    scratch=self.scratch,
                    logs=Path(self._make_directory()) / "logs",
                    number=self._started[name],
                    user_dirs=self.settings.user_dirs,
                    pass_env=self.settings.pass_env,
                )
            )
        return service.address


def _refuse_busy_machine(locks: MachineLocks) -> None:
    if locks.held_elsewhere():
        time.sleep(_SECOND_LOOK_S)
        elsewhere = locks.held_elsewhere()
        if elsewhere:
            raise UsageProblem(f"--no-wait: {busy_message(locks.describe(elsewhere))}")


def _target(link: Path) -> Path | None:
    """Return the directory that a link points at, None where there is none."""
    return link.resolve() if link.is_dir() else None


def _point(link: Path, target: str) -> None:
    """Point a symbolic link at a directory, atomically."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    with suppress(OSError):  # a file system without links has no `latest`
        temporary.symlink_to(target)
        temporary.replace(link)
