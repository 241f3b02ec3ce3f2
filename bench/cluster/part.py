"""What a job does: pytest on the cases of its part that no earlier attempt has decided.

A job that the cluster ends and begins again, and one that is submitted again, goes on in this way. What a finished case came
to is in the records of the attempt that finished it. Of a language model ``--reuse`` takes over each prediction.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from bench.cluster.submission import (
    ENDED,
    OUTPUT,
    AttemptEnd,
    ClusterJob,
    Submission,
    attempts,
    decided,
    job_folder,
    read_submission,
    runs_of,
)
from bench.core.files import replace_file
from bench.core.interpreter import OWN_MODULE
from bench.machine.prctl import PR_SET_PDEATHSIG, set_process_option
from bench.run import journal

# By option, what would go before it in the environment.
_BEFORE = {
    "--work-dir": "MODELGATE_WORK_DIR", "--seed": "MODELGATE_SEED", "--reuse": "MODELGATE_REUSE",
    "--only-cases": "MODELGATE_ONLY_CASES",
}  # fmt: skip
_GPUS = "CUDA_VISIBLE_DEVICES"
_INTERRUPTED = 2  # pytest's own code
_OUT_OF_TIME = "it ran out of time; give it more with --time, or --requeue N"
_TO_END_S = 60
_TO_BE_ENDED_S = 600


@dataclass
class JobWork:
    """A job's work, as submitit calls it on the machine of the job.

    Attributes:
        folder: of the submission, absolute.
        number: of the job.
    """

    folder: Path
    number: int
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _descriptor: int | None = field(default=None, repr=False)
    _told_to_end: bool = False

    def __call__(self) -> int:
        """Run what is left; return pytest's exit code, 0 where nothing is left."""
        submission = read_submission(self.folder)
        job = next(job for job in submission.jobs if job.number == self.number)
        place = job_folder(self.folder, self.number)
        left = left_of(job, decided(place))
        if not left:
            self._note(place, 0)
            return 0
        try:
            code = self._run(command_of(submission, place, left), submission)
        except Exception as error:
            said = str(error) or type(error).__name__
            self._note(place, _INTERRUPTED, _OUT_OF_TIME if "timed-out" in said else said)
            raise
        if self._told_to_end and "SLURM_JOB_ID" in os.environ:
            time.sleep(_TO_BE_ENDED_S)  # Slurm says how it ends, or begins it again
        self._note(place, code)
        return code

    def checkpoint(self, *arguments: Any, **more: Any) -> Any:
        """Return what is to be run when the cluster has taken the machine away: the same, which goes on where this ended."""
        from submitit.helpers import DelayedSubmission  # noqa: PLC0415  an extra, which is there in a job

        self._end()
        return DelayedSubmission(JobWork(self.folder, self.number))

    def _run(self, command: Sequence[str], submission: Submission) -> int:
        told = {variable for option, variable in _BEFORE.items() if option in command}
        environment = {name: value for name, value in os.environ.items() if name not in told}
        if (
            submission.cluster == "local"
        ):  # submitit would hide all GPUs; the suite leases them to one case at a time
            environment.pop(_GPUS, None)
            if submission.visible_gpus is not None:
                environment[_GPUS] = submission.visible_gpus
        place = job_folder(self.folder, self.number)
        signal.signal(signal.SIGTERM, self._terminated)
        with (place / OUTPUT).open("ab") as output:
            self._process = subprocess.Popen(
                command, cwd=submission.directory, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, preexec_fn=_prepared(os.getpid()),  # noqa: PLW1509  a job has one thread
            )  # fmt: skip
            # A handler of a signal may end and await the process too, for which Popen.wait would hold a lock.
            self._descriptor = os.pidfd_open(self._process.pid)
            try:
                select.select([self._descriptor], [], [])
            finally:
                self._end()
                code = self._process.wait()
                os.close(self._descriptor)
                self._descriptor = None
            return code

    def _terminated(self, number: int, frame: FrameType | None) -> None:
        self._told_to_end = True
        if self._descriptor is not None:
            signal.pidfd_send_signal(self._descriptor, signal.SIGTERM)

    def _end(self) -> None:
        """End pytest, which completes its records first; does nothing where it has ended."""
        for number, patience_s in ((None, 0), (signal.SIGTERM, _TO_END_S), (signal.SIGKILL, _TO_END_S)):
            if self._descriptor is None:
                return
            if number is not None:
                signal.pidfd_send_signal(self._descriptor, number)
            if select.select([self._descriptor], [], [], patience_s)[0]:
                return

    def _note(self, place: Path, code: int, reason: str = "") -> None:
        ended = AttemptEnd(code, len(attempts(place)), socket.gethostname(), reason)
        replace_file(place / ENDED, msgspec.json.encode(ended))


def _prepared(parent: int) -> Callable[[], None]:
    """Return what pytest's process does first: it dies with its job, and survives the signal that is for the job alone."""

    def prepare() -> None:
        set_process_option(PR_SET_PDEATHSIG, signal.SIGTERM)
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def left_of(job: ClusterJob, done: set[str]) -> list[list[str]]:
    """Return the units of a job of which something was not decided."""
    return [unit for unit in job.units if not done.issuperset(unit)]


def command_of(submission: Submission, place: Path, left: Sequence[Sequence[str]]) -> list[str]:
    """Return the command of a further attempt, and make its folder with the list of its cases.

    Args:
        submission: that the job is a part of.
        place: folder of the job.
        left: units that are to be run.

    Raises:
        OSError: when the folder cannot be written.
    """
    earlier = attempts(place)
    folder = place / f"attempt-{len(earlier) + 1}"
    folder.mkdir(parents=True)
    cases = folder / "cases.txt"
    replace_file(cases, "".join(f"{nodeid}\n" for unit in left for nodeid in unit))
    command = [
        *OWN_MODULE, "pytest", *submission.arguments, "--only-cases", str(cases), "--work-dir", str(folder),
        "-o", f"cache_dir={folder / 'cache'}", "--no-html",
    ]  # fmt: skip
    if submission.seed is not None:
        command += ["--seed", str(submission.seed)]
    if submission.junit is not None:
        command.append(f"--junitxml={folder / 'junit.xml'}")
    begun = [run for attempt in earlier for run in runs_of(attempt) if _has_something(run)]
    if begun:
        command += ["--reuse", str(begun[-1])]
    return command


def _has_something(run: Path) -> bool:
    """Whether a run has finished something, or a part of it."""
    return bool(journal.read_journal(run / journal.NAME).records) or any(
        path.is_file() for path in (run / "predictions").rglob("*")
    )
