"""Hands jobs to submitit. Run as a program of its own session, so that jobs on this machine live on when a terminal closes.

``python -m bench.cluster.launching DIR NUMBER...`` prints a JSON object: ``launches`` by number, or a ``problem``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from bench.cluster.part import JobWork
from bench.cluster.submission import ENDED, LaunchedJob, Submission, job_folder, read_submission
from bench.core.errors import UsageProblem
from bench.core.extras import install_advice, missing_packages
from bench.core.interpreter import OWN_MODULE

PACKAGE = "submitit"
# A job that is about to run out of time gets so long to write down what it has.
_SIGNAL_S = 90
_FOREVER_MIN = 60 * 24 * 365


def check_package() -> None:
    """Refuse to go on without submitit.

    Raises:
        UsageProblem: it is not installed.
    """
    if missing_packages([PACKAGE]):
        raise UsageProblem(install_advice([PACKAGE]).replace("for this case", "for jobs"))


def launch(folder: Path, numbers: list[int]) -> dict[int, LaunchedJob]:
    """Submit jobs; return what the cluster calls them.

    Args:
        folder: of the submission, absolute.
        numbers: of the jobs.

    Raises:
        UsageProblem: the cluster refused them, with its words.
    """
    command = [*OWN_MODULE, "bench.cluster.launching", str(folder), *map(str, numbers)]
    # Files, since jobs on this machine would keep pipes open.
    said, printed = folder / "logs" / "submitted.err", folder / "logs" / "submitted.json"
    with said.open("wb") as errors, printed.open("wb") as output:
        code = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            check=False,
            start_new_session=True,
        ).returncode
    try:
        answer: Any = msgspec.json.decode(printed.read_bytes().strip().splitlines()[-1])
        problem = answer.get("problem")
        if problem is None:
            return {
                int(number): msgspec.convert(one, LaunchedJob) for number, one in answer["launches"].items()
            }
    except (IndexError, msgspec.MsgspecError, KeyError, AttributeError):
        problem = _last(said.read_text(errors="replace")) or f"the process that submits ended with {code}"
    raise UsageProblem(f"the jobs were not submitted: {problem}; correct what it names and submit again")


def main(folder: Path, numbers: list[int]) -> dict[str, Any]:
    """Submit jobs in this process; return what is printed."""
    submission = read_submission(folder)
    for number in numbers:
        place = job_folder(folder, number)
        place.mkdir(parents=True, exist_ok=True)
        (place / ENDED).unlink(missing_ok=True)
    try:
        jobs = _executor(folder, submission).submit_all([JobWork(folder, number) for number in numbers])
    except subprocess.CalledProcessError as error:  # of sbatch
        return {"problem": _last(str(error.stderr or error.output or error))}
    except Exception as error:  # submitit has many, most of which hold what sbatch has printed
        return {"problem": _last(str(error)) or type(error).__name__}
    return {"launches": dict(zip(map(str, numbers), jobs, strict=True))}


class _Executor:
    """submitit's executor, with the few of its calls that are used."""

    def __init__(self, executor: Any, *, is_local: bool) -> None:
        self._executor, self._is_local = executor, is_local

    def submit_all(self, parts: list[JobWork]) -> list[LaunchedJob]:
        with self._executor.batch():
            jobs = [self._executor.submit(part) for part in parts]
        return [LaunchedJob(str(job.job_id), _began(job.job_id) if self._is_local else None) for job in jobs]


def _executor(folder: Path, submission: Submission) -> _Executor:
    import submitit  # noqa: PLC0415  an extra

    is_local = submission.cluster == "local"
    made: Any = submitit.LocalExecutor if is_local else submitit.SlurmExecutor
    parameters = dict(submission.parameters)
    requeues = int(parameters.pop("requeues", 0))
    minutes = parameters.pop("time", None) or _FOREVER_MIN
    before_end = max(1, min(_SIGNAL_S, minutes * 60 // 4))
    executor = made(folder / "logs", max_num_timeout=requeues)
    if is_local:
        executor.update_parameters(timeout_min=minutes, signal_delay_s=before_end)
    else:
        executor.update_parameters(time=minutes, signal_delay_s=before_end, **parameters)
    return _Executor(executor, is_local=is_local)


def _began(pid: str) -> float:
    import psutil  # noqa: PLC0415  only jobs on this machine need it

    return float(psutil.Process(int(pid)).create_time())


def _last(text: str) -> str:
    """Return what a program said last, without what submitit adds."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line for line in lines if "error:" in line.lower() or line.startswith("sbatch:")]
    return "; ".join(dict.fromkeys(said[-3:])) or (lines[-1] if lines else "")


if __name__ == "__main__":
    print(msgspec.json.encode(main(Path(sys.argv[1]), [int(word) for word in sys.argv[2:]])).decode())
