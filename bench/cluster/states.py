"""What the cluster says of jobs. Slurm's queue is asked, since the accounting that submitit asks is often switched off."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.cluster.submission import ENDED, ClusterJob, Submission, job_folder

# States after which a job does nothing more: https://slurm.schedmd.com/squeue.html#SECTION_JOB-STATE-CODES
_OVER = frozenset(
    {
        "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "REVOKED", "TIMEOUT",
        "LAUNCH_FAILED", "RECONFIG_FAIL",
    }
)  # fmt: skip
_SQUEUE_S = 60


@dataclass(frozen=True)
class State:
    """How a job is.

    Attributes:
        word: PENDING, RUNNING, COMPLETED and so on, as Slurm has them; GONE where nobody knows the job any more.
        why: what it waits for, in Slurm's word; empty where there is none.
        is_over: whether it does nothing more.
    """

    word: str
    why: str = ""
    is_over: bool = False

    def __str__(self) -> str:
        """Return it for a line of progress."""
        return f"{self.word} ({self.why})" if self.why else self.word


_GONE = State("GONE", "Slurm does not know it any more", is_over=True)


def states(folder: Path, submission: Submission) -> Mapping[int, State] | None:
    """Return the state of each job that was launched, by number; None where the cluster does not answer."""
    launched = [job for job in submission.jobs if job.launches]
    if submission.cluster == "local":
        return {job.number: _local(folder, job) for job in launched}
    said = _queue({job.launches[-1].id.partition("_")[0] for job in launched})
    if said is None:
        return None
    return {job.number: _of_slurm(folder, job, said) for job in launched}


def _has_ended(folder: Path, job: ClusterJob) -> bool:
    return (job_folder(folder, job.number) / ENDED).is_file()


def _local(folder: Path, job: ClusterJob) -> State:
    import psutil  # noqa: PLC0415  only jobs on this machine need it

    known = job.launches[-1]
    try:
        process = psutil.Process(int(known.id))
        if process.create_time() == known.began and process.status() != psutil.STATUS_ZOMBIE:
            return State("RUNNING")
    except psutil.NoSuchProcess:
        pass
    return State("COMPLETED" if _has_ended(folder, job) else "FAILED", is_over=True)


def _queue(ids: set[str]) -> Mapping[str, State] | None:
    """Return what Slurm says of jobs and arrays, by job; None where it cannot be asked."""
    found: dict[str, State] = {}
    program = shutil.which("squeue")
    if program is None:
        return None
    for one in sorted(ids):
        command = [program, "--noheader", "--states=all", "--array", "--format=%i|%T|%r", f"--jobs={one}"]
        try:
            asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SQUEUE_S)
        except subprocess.TimeoutExpired:
            return None
        if asked.returncode and "Invalid job id" not in asked.stderr:
            return None
        for line in asked.stdout.splitlines():
            name, word, why = (*line.strip().split("|"), "", "")[:3]
            found[name] = State(word, "" if why == "None" else why, is_over=word in _OVER)
    return found


def _of_slurm(folder: Path, job: ClusterJob, said: Mapping[str, State]) -> State:
    state = said.get(job.launches[-1].id)
    if state is not None:
        return state
    # Slurm forgets a job some minutes after its end.
    return State("COMPLETED", is_over=True) if _has_ended(folder, job) else _GONE
