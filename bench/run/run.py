"""The run: what the process that began it owns.

:class:`Run` lives in the controller, or in the only process of a serial run: scratch space, the lease server, services of
the kinds, the run's directory and its records. Everything heavy starts when it is first asked for.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path

from bench.core.errors import FULL, UsageProblem
from bench.core.files import describe_error
from bench.core.kind import Kind, Service, ServiceRun
from bench.core.record import Json
from bench.core.runs import LATEST
from bench.machine.cores import core_names, usable_cores
from bench.machine.environment import describe_environment
from bench.machine.lease import LeaseServer, busy_message
from bench.machine.machine_lease import MachineLocks, gpu_names
from bench.report.results import ResultsFile
from bench.run import collected as collected_module
from bench.run import journal
from bench.run.collected import Collected
from bench.run.completion import RESULTS
from bench.run.directory import RunDirectory, stamp
from bench.run.scratch import Scratch
from bench.run.view import DIRECTORY, RunView, Seeds

# A run that tries to lock several cores holds some for a moment.
_SECOND_LOOK_S = 0.2


@dataclass(frozen=True)
class RunSettings:
    """What a run is begun with.

    Attributes:
        work_dir: where the run's directory is made.
        root: the repository, for its commit.
        command: the command line, for the record.
        seeds: of the run.
        workers: number of processes that run cases.
        resource_count: how many GPUs are leased; None to lease cores.
        user_dirs: folders with users' code, for services.
        pass_env: names of environment variables that arms may see besides the usual ones.
        names: of the host and the user, where they are to be recorded.
        wait: whether cases wait for cores and GPUs that another run on this machine holds.
    """

    work_dir: Path
    root: Path
    command: str
    seeds: Seeds
    workers: int
    resource_count: int | None
    user_dirs: tuple[Path, ...] = ()
    pass_env: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    wait: bool = True


class Run:
    """Owns a run from its start to its summary.

    Args:
        settings: what it is begun with.
        kinds: by name.
        options: returns the options by kind, for ``configs/``; called when the run's directory is made.
        tell: shows a line to the user; called from another thread.

    Attributes:
        results: the records; None until the run's directory is made.
        trouble: why no further case should run, such as a full disk; None where there is no such reason.
        completed: directories of earlier runs that had died, whose results were completed.

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
        self._began = datetime.now(UTC)
        self._directory: RunDirectory | None = None
        cores = tuple(usable_cores())
        count = settings.resource_count
        locks = MachineLocks(core_names(cores) if count is None else gpu_names(count), self._name)
        if not settings.wait:
            _refuse_busy_machine(locks)
        self._scratch = Scratch()
        self.scratch = self._scratch.path
        services: dict[str, Callable[[], str]] = {DIRECTORY: lambda: str(self._opened().path.parent)}
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
            self.scratch, str(self._leases.address), settings.seeds, settings.workers, cores,
            _target(settings.work_dir / LATEST),
        )  # fmt: skip
        self._services: dict[str, Service] = {}
        self._started: dict[str, int] = {}
        self._opening = threading.Lock()  # the thread of the leases opens, or the one that takes records
        self._journal: journal.Journal | None = None
        self.results: ResultsFile | None = None
        self.trouble: str | None = None
        self.completed: list[Path] = []
        self._has_records, self._is_complete = False, True

    @cached_property
    def _collected(self) -> Collected:
        """What was collected; by the first record it is complete."""
        return Collected.read(self.scratch)

    def collected(self) -> Collected:
        """Return what was collected, as far as it is."""
        return Collected.read(self.scratch)

    def costs(self) -> dict[str, float]:
        """Return the relative cost of each case by node id; empty until they are collected."""
        return self.collected().costs

    def blank(self, nodeid: str) -> Json | None:
        """Return the blank record of a case, None for a test that is no case."""
        return self._collected.blanks.get(nodeid)

    def add_record(self, nodeid: str, record: Json) -> None:
        """Take the record of a finished case and write it immediately.

        A disk that is full stops the run, not this function: the record is kept, with room that was kept for it.
        """
        results = self._opened()
        blank = self.blank(nodeid)
        record = {**record, "depends_on": (blank or {}).get("depends_on")}
        results.add(nodeid, record)
        assert self._journal is not None
        assert self._directory is not None
        try:
            self._journal.append(nodeid, record)
        except OSError as error:
            self._directory.release_reserve()
            with suppress(OSError):
                self._journal.append(nodeid, record)
            self._stop(f"{self._directory.path}: the records cannot be written ({describe_error(error)})")
            return
        if not self._has_records:
            self._has_records = True
            self._directory.become_latest()
            self.completed = self._directory.complete_dead()
        if record["reason_code"] == "disk_full":
            self._directory.release_reserve()
            self._stop(f"{record['id']}: {record['reason']}")
        try:
            results.write_when_due()
        except OSError as error:
            if error.errno in FULL:
                self._directory.release_reserve()
            self._stop(f"{results.path}: cannot be written ({describe_error(error)})")

    def finish(self, exit_status: int) -> None:
        """Give every collected case without a record its blank one, and write the results.

        Args:
            exit_status: of pytest.

        Raises:
            OSError: when the results cannot be written; `report` then completes them from the journal.
        """
        blanks = self._collected.blanks
        if self.results is None and not blanks:
            return
        results = self._opened()
        for nodeid in [nodeid for nodeid in blanks if nodeid not in results.records]:
            results.add(nodeid, blanks[nodeid])
        unrun = any(record.is_undecided for record in results.records.values())
        results.run |= {
            "state": "interrupted" if unrun else "finished",
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "exit_status": exit_status,
            "collected": len(results.records),
        }
        assert self._journal is not None
        assert self._directory is not None
        if self.trouble is not None:
            self._directory.release_reserve()
        with suppress(OSError):
            self._journal.end(results.run)
        try:
            results.write()
        except OSError as error:
            self._is_complete = False
            self.trouble = self.trouble or f"{results.path}: cannot be written ({describe_error(error)})"
            raise

    def close(self) -> None:
        """End the services and remove the scratch space; nothing of the run computes afterwards."""
        for service in self._services.values():
            service.stop()
        self._leases.stop()
        if self._journal is not None:
            self._journal.close()
        if self._directory is not None:
            self._directory.free(is_complete=self._is_complete)
        self._scratch.remove()

    def _stop(self, trouble: str) -> None:
        self.trouble = self.trouble or f"{trouble}; make room there, then go on with --reuse {LATEST}"

    def _name(self) -> str:
        """Return the name of the run's directory, also before there is one."""
        return stamp(self._began) if self._directory is None else self._directory.path.name

    @cached_property
    def seed(self) -> int:
        """The seed with which the run can be repeated: the drawn one where a case has inputs that are drawn."""
        kinds = {record["kind"] for record in self._collected.blanks.values()}
        is_drawn = any(kind.draws_inputs for name, kind in self._kinds.items() if name in kinds)
        return self.view.seeds.drawn if is_drawn else self.view.seeds.steady

    @property
    def drawn_seed(self) -> int | None:
        """The seed where this run has drawn it and a case depends on it."""
        return None if self.seed == self.view.seeds.steady else self.seed

    def _opened(self) -> ResultsFile:
        """Return the results; the first call makes the run's directory."""
        with self._opening:
            if self.results is None:
                directory = RunDirectory(
                    self.settings.work_dir, self._began, self._options(), self._kinds,
                    cases=len(self._collected.blanks),
                )  # fmt: skip
                head = {
                    "id": directory.path.name,
                    "started": self._began.isoformat(timespec="seconds"),
                    "finished": None,
                    "state": "running",
                    "exit_status": None,
                    "collected": len(self._collected.blanks),
                    "command": self.settings.command,
                    "seed": self.seed,
                    "workers": self.view.workers,
                    "environment": {**describe_environment(self.settings.root), **self.settings.names},
                }
                with suppress(FileNotFoundError):
                    shutil.copyfile(
                        self.scratch / collected_module.NAME,
                        directory.path / "configs" / collected_module.NAME,
                    )
                self._directory = directory
                self._journal = journal.Journal(directory.path / journal.NAME, head)
                self.results = ResultsFile(directory.path / RESULTS, head, self._kinds)
            return self.results

    def _service(self, name: str, start: Callable[[ServiceRun], Service]) -> str:
        service = self._services.get(name)
        if service is None or not service.is_alive():
            self._started[name] = self._started.get(name, 0) + 1
            service = self._services[name] = start(
                ServiceRun(
                    scratch=self.scratch,
                    logs=self._opened().path.parent / "logs",
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
