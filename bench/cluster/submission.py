"""What `modelgate submit` keeps in its folder: what was asked for, which cases each job has, and what became of the jobs.

::

    DIR/submission.json     this module's `Submission`
    DIR/selection.json      the blank record of every case
    DIR/jobs/001/           a job: cases.txt, output.txt, ended.json, attempt-1/ with a run's directory, attempt-2/ ...
    DIR/logs/               what submitit and the cluster write
    DIR/run/                the run that the jobs are joined to
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from bench.core.errors import UsageProblem
from bench.core.files import replace_file
from bench.core.record import Json
from bench.run import journal
from bench.run.merge import is_decided

VERSION = 1
NAME, SELECTION, ENDED, OUTPUT = "submission.json", "selection.json", "ended.json", "output.txt"
SELECTION_FILE = "MODELGATE_SUBMIT_SELECTION"
"""Variable of the environment with the file to which the plugin writes what is selected."""


class Selected(msgspec.Struct, omit_defaults=True):
    """A test that was selected; the attributes of `bench.cluster.split.Member`, and the blank record of a case."""

    nodeid: str
    cost: float = 0.0
    names: list[str] = []
    shares: str | None = None
    blank: Json | None = None


class SelectedTests(msgspec.Struct):
    """What a command of pytest selects.

    Attributes:
        items: in the order in which they run.
        seed: of all jobs, given or drawn; None where none was given and the run draws none.
        junit: the file of ``--junitxml``, absolute; None without it.
    """

    items: list[Selected]
    seed: int | None = None
    junit: str | None = None


class LaunchedJob(msgspec.Struct):
    """A job as the cluster knows it.

    Attributes:
        id: of the cluster: Slurm's, or a process on this machine.
        began: when the process began, in seconds since 1970; None on a cluster.
    """

    id: str
    began: float | None = None


class AttemptEnd(msgspec.Struct):
    """How an attempt of a job ended.

    Attributes:
        exit_status: of pytest; negative for a signal.
        attempt: its number, from 1.
        host: where.
        reason: what ended the job; empty where pytest ended by itself.
    """

    exit_status: int
    attempt: int
    host: str
    reason: str = ""


class ClusterJob(msgspec.Struct):
    """A part of the run.

    Attributes:
        number: from 1.
        cost: of its tests.
        units: node ids of its tests, those together that cannot be parted.
        launches: the newest last.
    """

    number: int
    cost: float
    units: list[list[str]]
    launches: list[LaunchedJob] = []

    @property
    def nodeids(self) -> list[str]:
        """Its tests."""
        return [nodeid for unit in self.units for nodeid in unit]


class Submission(msgspec.Struct):
    """What was submitted.

    Attributes:
        version: of this form.
        created: when, as ISO 8601.
        arguments: of pytest.
        directory: in which pytest is started.
        cluster: ``slurm`` or ``local``.
        parameters: of the jobs, as submitit takes them.
        visible_gpus: CUDA_VISIBLE_DEVICES where it was submitted; None where it was not set.
        seed, junit: of the selection.
        jobs: the parts.
    """

    version: int
    created: str
    arguments: list[str]
    directory: str
    cluster: str
    parameters: Json
    visible_gpus: str | None
    seed: int | None
    junit: str | None
    jobs: list[ClusterJob]

    def write(self, folder: Path) -> None:
        """Write it as a whole.

        Raises:
            OSError: when it cannot be written.
        """
        replace_file(folder / NAME, msgspec.json.format(msgspec.json.encode(self), indent=1))


def read_submission(folder: Path) -> Submission:
    """Return what was submitted.

    Raises:
        UsageProblem: nothing was, or by another version.
    """
    try:
        found = msgspec.json.decode((folder / NAME).read_bytes(), type=Submission)
    except (OSError, msgspec.MsgspecError) as error:
        raise UsageProblem(
            f"--join {folder}: found no {NAME} that can be read there, expected the folder of a `modelgate submit --out`; "
            "correct the path"
        ) from error
    if found.version != VERSION:
        raise UsageProblem(
            f"--join {folder}: found a submission of version {found.version}, expected {VERSION}; join it with the version "
            "of Modelgate that submitted it"
        )
    return found


def read_selected(folder: Path) -> SelectedTests:
    """Return what the command selected.

    Raises:
        UsageProblem: it is not there any more.
    """
    try:
        return msgspec.json.decode((folder / SELECTION).read_bytes(), type=SelectedTests)
    except (OSError, msgspec.MsgspecError) as error:
        raise UsageProblem(
            f"--join {folder}: found no {SELECTION} that can be read there, expected the one that `modelgate submit` wrote; "
            "correct the path"
        ) from error


def job_folder(folder: Path, number: int) -> Path:
    """Return the folder of a job."""
    return folder / "jobs" / f"{number:03}"


def attempts(job: Path) -> list[Path]:
    """Return the folders of a job's attempts, the first one first."""
    found = [path for path in job.glob("attempt-*") if path.name.removeprefix("attempt-").isdigit()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("attempt-")))


def runs_of(attempt: Path) -> list[Path]:
    """Return the directories of runs in an attempt: one, or none where pytest did not get that far."""
    return sorted(
        path for path in attempt.iterdir() if not path.is_symlink() and (path / journal.NAME).is_file()
    )


def decided(job: Path) -> set[str]:
    """Return the node ids that some attempt of a job has decided."""
    found = set()
    for run in (run for attempt in attempts(job) for run in runs_of(attempt)):
        for nodeid, record in journal.read_journal(run / journal.NAME).records.items():
            if is_decided(record["verdict"], record["reason_code"]):
                found.add(nodeid)
    return found


def read_ended(job: Path) -> AttemptEnd | None:
    """Return how the newest attempt ended, None where nothing says so."""
    try:
        return msgspec.json.decode((job / ENDED).read_bytes(), type=AttemptEnd)
    except (OSError, msgspec.MsgspecError):
        return None


def make_folders(folder: Path) -> None:
    """Make the folders of a submission.

    Raises:
        UsageProblem: there is something already.
        OSError: when they cannot be made.
    """
    if folder.exists() and (not folder.is_dir() or os.listdir(folder)):
        known = "; join the jobs there with --join" if (folder / NAME).is_file() else ""
        raise UsageProblem(
            f"--out {folder}: found something there, expected a new or empty folder; choose another{known}"
        )
    for name in ("jobs", "logs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
