"""``submit``: a run that is split over jobs of a cluster, and joined again."""

from __future__ import annotations

import argparse
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cli.numbers import number, path
from bench.core.errors import UsageProblem
from bench.core.names import counted

if TYPE_CHECKING:
    from bench.cluster.submission import Submission

FAILED, LEFT = 1, 130
CLUSTERS = ("slurm", "local")
_TIME_MIN = 60
_DESCRIPTION = """
Split a run over jobs of a cluster, wait for them, and join what they ran into one run, DIR/run. What follows -- are the
arguments of pytest. Its cases are collected here once, and each job gets cases of about the same expected cost.
Interrupting the command leaves the jobs alone; --join goes on with them.
Exit codes: 0 all passed, 1 a case did not pass or is missing, 4 what cannot be used, 130 interrupted, jobs go on.
"""
_EXAMPLES = """
examples:
  modelgate submit --jobs 8 --partition gpu --gpus-per-job 1 --time 120 --out big -- cases/ -k hard --device cuda
  modelgate submit --jobs 2 --cluster local --out big -- cases/test_language.py -n 2
  modelgate submit --join big                        wait for the jobs, and join what they ran
  modelgate submit --join big --again --time 240     submit what is missing again
"""
# Options of the jobs, with the names by which submitit and sbatch know them.
_OF_SLURM = {
    "partition": "partition", "account": "account", "constraint": "constraint", "qos": "qos",
    "gpus_per_job": "gpus_per_node", "cpus_per_job": "cpus_per_task", "mem_gb": "mem",
}  # fmt: skip


def add_submit(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "submit", help="split a run over jobs of a cluster, and join it again", description=_DESCRIPTION,
        epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.set_defaults(do=submit)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", type=path, metavar="DIR", help="a new or empty folder that all machines see")
    where.add_argument("--join", type=path, metavar="DIR", help="go on with jobs that were submitted there")
    parser.add_argument("--again", action="store_true", help="with --join: submit what is missing again")
    parser.add_argument("--jobs", type=_count, metavar="N", help="at most so many jobs")
    parser.add_argument(
        "--cluster", choices=CLUSTERS, help="where jobs run; local is this machine (default slurm)"
    )
    parser.add_argument(
        "--time", type=_minutes, metavar="MIN",
        help=f"minutes that a job may take (default: {_TIME_MIN} on a cluster, no limit on this machine)",
    )  # fmt: skip
    parser.add_argument("--partition", metavar="NAME", help="partition of the cluster")
    parser.add_argument("--gpus-per-job", type=_count, metavar="N", help="GPUs of a job")
    parser.add_argument("--cpus-per-job", type=_count, metavar="N", help="cores of a job")
    parser.add_argument("--mem-gb", type=_gigabytes, metavar="GB", help="memory of a job")
    parser.add_argument("--account", metavar="NAME", help="account of the cluster")
    parser.add_argument("--qos", metavar="NAME", help="quality of service")
    parser.add_argument("--constraint", metavar="TEXT", help="what the machine of a job must have")
    parser.add_argument(
        "--sbatch", nargs="+", action="extend", default=[], metavar="NAME[=VALUE]",
        help="further options of sbatch, without their dashes, such as exclude=node7 or exclusive",
    )  # fmt: skip
    parser.add_argument(
        "--requeue", type=_whole, metavar="N",
        help="how often a job begins again that ran out of time (default 0); one that was preempted always does",
    )  # fmt: skip
    parser.add_argument("--no-wait", action="store_true", help="do not wait for the jobs; --join does later")
    parser.add_argument("--no-html", action="store_true", help="write no report.html")


def submit(given: argparse.Namespace) -> int:
    """Submit, wait and join, as far as was asked; return the exit code.

    Raises:
        UsageProblem: what cannot be used.
    """
    from bench.cluster.launching import check_package  # noqa: PLC0415  other commands need nothing of it
    from bench.cluster.submission import read_submission  # noqa: PLC0415

    given.more = list(given.more)
    _check(given)
    if given.join is not None:
        folder = given.join.absolute()
        submission = read_submission(folder)
        if given.again:
            check_package()
            _again(given, folder, submission)
    else:
        check_package()
        folder = given.out.absolute()
        submission = _new(given, folder)
    try:
        return _wait_and_join(given, folder, submission)
    except KeyboardInterrupt:
        print(f"\nleft the jobs alone; {_how_to_join(folder)}")
        return LEFT


def _check(given: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    if given.join is None:
        if given.again:
            raise UsageProblem("--again: goes with --join DIR; give the folder of what was submitted")
        if given.jobs is None or not given.more:
            lacking = (
                "--jobs N" if given.jobs is None else "-- and pytest's arguments, such as -- cases/ -k hard"
            )
            raise UsageProblem(f"submit --out: found no {lacking}, expected it; give it")
        given.cluster = given.cluster or CLUSTERS[0]
        _check_of_slurm(given, given.cluster)
        return
    named = [flag for flag in ("jobs", "cluster") if getattr(given, flag) is not None]
    if named or given.more:
        what = f"--{named[0]}" if named else "arguments of pytest"
        raise UsageProblem(
            f"--join: found {what}, expected none, since jobs stay what they were submitted as; leave that out, or "
            "begin with --out and another folder"
        )
    if not given.again and (_parameters(given) or given.requeue is not None):
        raise UsageProblem(
            "--join: found options of jobs, expected them with --again, which submits jobs; leave them out or add --again"
        )


def _check_of_slurm(given: argparse.Namespace, cluster: str) -> None:
    of_slurm = [name for name in (*_OF_SLURM, "sbatch") if getattr(given, name) not in (None, [])]
    if cluster == "local" and of_slurm:
        flag = of_slurm[0].replace("_", "-")
        raise UsageProblem(
            f"--{flag}: applies to --cluster slurm, and jobs run on this machine; leave it out"
        )
    if cluster == "slurm" and shutil.which("sbatch") is None:
        raise UsageProblem(
            "--cluster slurm: found no sbatch on this machine, expected the commands of Slurm; submit from a machine of the "
            "cluster, or give --cluster local"
        )


def _new(given: argparse.Namespace, folder: Path) -> Submission:
    from bench.cluster.beginning import begin, collect  # noqa: PLC0415  as above
    from bench.cluster.submission import make_folders  # noqa: PLC0415

    if given.cluster == "slurm" and any(character in str(folder) for character in "%\\\n"):
        raise UsageProblem(
            f"--out {folder}: found %, \\ or a line break, which sbatch reads in its own way; choose another"
        )
    existed = folder.exists()
    make_folders(folder)  # before the time that collecting takes
    try:
        parameters = {
            "job_name": "modelgate",
            "time": _TIME_MIN,
            **_parameters(given),
            "requeues": given.requeue or 0,
        }
        if given.cluster == "local":
            parameters = {"time": given.time, "requeues": given.requeue or 0}
        submission = begin(
            folder,
            collect(given.more),
            given.more,
            jobs=given.jobs,
            cluster=given.cluster,
            parameters=parameters,
        )
        _launch(folder, submission, [job.number for job in submission.jobs])
    except BaseException:
        if not any((folder / "logs").glob("*_submitted.pkl")):
            _remove(folder, itself=not existed)
        raise
    total = sum(len(job.nodeids) for job in submission.jobs)
    what = f"{counted(total, 'case')} as {counted(len(submission.jobs), 'job')}"
    print(f"submitted {what} ({_ids(submission)}); {_how_to_join(folder)}")
    return submission


def _remove(folder: Path, *, itself: bool) -> None:
    """Leave no folder behind of what was not submitted, so that the same command can be given again."""
    for place in [folder] if itself else list(folder.iterdir()):
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)


def _again(given: argparse.Namespace, folder: Path, submission: Submission) -> None:
    from bench.cluster.joined import missing_jobs  # noqa: PLC0415  as above
    from bench.cluster.states import states  # noqa: PLC0415

    _check_of_slurm(given, submission.cluster)
    known = states(folder, submission)
    if known is None:
        raise UsageProblem("--again: the cluster does not say which jobs still run; try it again later")
    missing = missing_jobs(folder, submission)
    alive = [number for number in missing if number in known and not known[number].is_over]
    wanted = [number for number in missing if number not in alive]
    if alive:
        print(f"still there, and not submitted again: {', '.join(f'job {number}' for number in alive)}")
    if not wanted:
        print("found no job that is over and of which something is missing; nothing is submitted")
        return
    submission.parameters |= _parameters(given) | (
        {} if given.requeue is None else {"requeues": given.requeue}
    )
    submission.write(folder)
    _launch(folder, submission, wanted)
    print(f"submitted again: {', '.join(f'job {number}' for number in wanted)}")


def _launch(folder: Path, submission: Submission, numbers: list[int]) -> None:
    from bench.cluster.launching import launch  # noqa: PLC0415  as above

    launched = launch(folder, numbers)
    for job in submission.jobs:
        if job.number in launched:
            job.launches.append(launched[job.number])
    submission.write(folder)


def _wait_and_join(given: argparse.Namespace, folder: Path, submission: Submission) -> int:
    from bench.cluster.following import follow  # noqa: PLC0415  as above
    from bench.cluster.joined import join  # noqa: PLC0415
    from bench.cluster.states import states  # noqa: PLC0415
    from bench.kinds import KINDS  # noqa: PLC0415

    if given.no_wait and given.join is None:
        return 0
    if not given.no_wait and submission.cluster == "slurm" and shutil.which("squeue") is None:
        raise UsageProblem(
            f"--join {folder}: found no squeue on this machine, expected the commands of Slurm, to wait for jobs; join on "
            "a machine of the cluster, or give --no-wait"
        )
    known = (states(folder, submission) or {}) if given.no_wait else follow(folder, submission)
    joined = join(folder, submission, known, KINDS, with_page=not given.no_html)
    print("\n".join(joined.said))
    if any("gap: " in line for line in joined.said):
        print(f"submit what is missing again: modelgate submit --join {shlex.quote(str(folder))} --again")
    return FAILED if joined.has_failed else 0


def _parameters(given: argparse.Namespace) -> dict[str, Any]:
    """Return the options of the jobs that were given."""
    found = {
        name: getattr(given, option)
        for option, name in _OF_SLURM.items()
        if getattr(given, option) is not None
    }
    if given.time is not None:
        found["time"] = given.time
    if "mem" in found:
        found["mem"] = f"{round(1024 * found['mem'])}M"
    if given.sbatch:
        further = {}
        for text in given.sbatch:
            name, equals, value = text.lstrip("-").partition("=")
            if not name:
                raise UsageProblem(
                    f"--sbatch {text}: expected NAME=VALUE or NAME, such as exclude=node7; correct it"
                )
            further[name] = value if equals else True
        found["additional_parameters"] = further
    return found


def _ids(submission: Submission) -> str:
    ids = dict.fromkeys(job.launches[-1].id.partition("_")[0] for job in submission.jobs if job.launches)
    return ", ".join(ids)


def _how_to_join(folder: Path) -> str:
    return f"join them with: modelgate submit --join {shlex.quote(str(folder))}"


def _count(text: str) -> int:
    return int(number(text, lambda value: value >= 1 and value == int(value), "a whole number from 1"))


def _whole(text: str) -> int:
    return int(number(text, lambda value: value >= 0 and value == int(value), "a whole number from 0"))


def _minutes(text: str) -> int:
    return int(
        number(
            text, lambda value: 1 <= value < 2**31 and value == int(value), "a whole number of minutes from 1"
        )
    )


def _gigabytes(text: str) -> float:
    return number(text, lambda value: 0 < value < 1e6, "a number of gigabytes above 0")
