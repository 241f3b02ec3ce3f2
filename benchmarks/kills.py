"""Whether a run survives that its processes are killed: nothing finished is lost or there twice, resuming is exact.

    python benchmarks/kills.py [--points 20] [--victims controller,worker,...] [--signals KILL,TERM] [--tasks 3]
    python benchmarks/kills.py --points 1 --tasks 1 --victims worker --signals KILL  # small

Each point is a run of its own with ``-n 2``: a few short acceleration tasks and many stored evaluations. At a random
moment of it one process is sent a signal: the controller, a worker, the fork server, the scorer or an arm. Then is checked:

- the run ends; one whose controller was killed is completed by ``python -m bench report``;
- every record that was finished at that moment is in the results, with its verdict, and none is there twice;
- the results say how the run ended, and have a record for every case that was collected;
- a second run with ``--reuse latest`` takes over what was finished, value by value, and comes to the verdicts of a run that
  nobody disturbed;
- no process of the runs, no temporary folder and no half-written file is left.

Printed for each victim and signal: how many runs, at which seconds, how many cases were finished then, and what went wrong.
The exit code is 1 if anything did.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from suite import ROOT, results_file, shipped_tasks, write_evaluations, write_tasks

from bench.run.journal import NAME as JOURNAL
from bench.run.journal import read_journal

VICTIMS = ("controller", "worker", "fork server", "scorer", "arm")
SIGNALS = {"KILL": signal.SIGKILL, "TERM": signal.SIGTERM}
FINISHED = ("pass", "fail", "inconclusive")
EVALUATIONS, TRIES = 40, 4
POLL_S, END_S, GONE_S = 0.01, 300.0, 30.0
QUICK = (
    "--num-samples", "2", "--batch-size", "2", "--warmup-rounds", "1", "--ungated-rounds", "6", "--time-budget", "2",
    "--max-foreign-load", "1",
    "--seed", "0",  # the verdicts of two runs are compared
)  # fmt: skip
# What differs between a record and the one that was taken over from it, and between two runs.
OF_ONE_RUN = ("reused", "warnings", "files", "order")

Record = dict[str, Any]


@dataclass
class Point:
    """One kill and what came of it.

    Attributes:
        seconds: after the start of the run; None where the run had ended before the victim was there.
        finished: how many cases were finished at that moment.
        wrong: what should not have been.
    """

    seconds: float | None = None
    finished: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """Where the runs of one point lie: their inputs, their temporary folder, their results.

    Attributes:
        directory: all of it.
        tasks: how many acceleration tasks there are; without any, a run needs no fork server.
    """

    directory: Path
    tasks: int = 3

    def command(self, *arguments: str) -> list[str]:
        """Return the command of a run."""
        tasks = short_tasks()[: self.tasks]
        judged = ("cases/test_acceleration.py", *write_tasks(self.directory, tasks), *QUICK) if tasks else ()
        return [
            sys.executable, "-m", "pytest", "cases/test_evaluated.py", *judged, "-q", "-n", "2", "-p", "no:cacheprovider",
            "--evaluated", str(self.directory / "evaluations"), "--work-dir", str(self.work_dir),
            "--junitxml", str(self.directory / "junit.xml"), *arguments,
        ]  # fmt: skip

    @property
    def work_dir(self) -> Path:
        """The work directory."""
        return self.directory / "out"

    @property
    def temporary(self) -> Path:
        """The temporary folder of the runs."""
        return self.directory / "tmp"

    def start(self, *arguments: str) -> psutil.Popen:
        """Start a run."""
        self.temporary.mkdir(exist_ok=True)
        return psutil.Popen(
            self.command(*arguments), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={
                **os.environ, "TMPDIR": str(self.temporary), "PYTEST_ADDOPTS": "", "OMP_NUM_THREADS": "1",
                "MODELGATE_LEASE_DIR": str(self.directory / "leases"),
            },
        )  # fmt: skip

    def records(self) -> dict[str, Record]:
        """Return the records of the latest run by id.

        Raises:
            ValueError: an id that is there twice.
        """
        records = self.results()["records"]
        found = {record["id"]: record for record in records}
        if len(found) < len(records):
            raise ValueError(f"{len(records)} records have {len(found)} ids")
        return found

    def results(self) -> Record:
        """Return the results of the latest run."""
        read: Record = json.loads(results_file(self.work_dir).read_text(encoding="utf-8"))
        return read

    def journaled(self) -> dict[str, Record]:
        """Return what the newest run has recorded as finished so far, by id."""
        newest = max(self.work_dir.glob(f"*/{JOURNAL}"), default=None, key=lambda path: path.parent.name)
        if newest is None:
            return {}
        records = read_journal(newest).records.values()
        return {record["id"]: record for record in records if record["verdict"] in FINISHED}


def short_tasks() -> list[dict[str, Any]]:
    """Return the tasks that ship without a gate for the speed, those of one model first."""
    tasks = [task for task in shipped_tasks() if not task.get("required_speedup")]
    return sorted(tasks, key=lambda task: (task["baseline_file"], str(task["prompt_id"])))


def processes(run: psutil.Process, victim: str) -> list[psutil.Process]:
    """Return the processes of a run that play a role."""
    if victim == "controller":
        return [run]
    found = []
    for child in run.children(recursive=True):
        try:
            if role_of(child) == victim:
                found.append(child)
        except (psutil.Error, OSError):  # it has ended since
            continue
    return found


def role_of(process: psutil.Process) -> str:
    """Return which role a process below the controller plays."""
    line = " ".join(process.cmdline())
    if "host.forkserver" not in line:
        return "worker" if "sys.stdin.readline" in line else "other"
    parent = process.parent()
    if parent is None or "host.forkserver" not in " ".join(parent.cmdline()):
        return "fork server"
    names = Path(os.readlink(f"/proc/{process.pid}/cwd")).name.split(".")
    if "scorer" in names:
        return "scorer"
    return "arm" if {"target", "baseline", "candidate"} & set(names) else "other"


def kill_once(place: Place, victim: str, number: int, moment_s: float, verdicts: Mapping[str, str]) -> Point:
    """Start a run, send one of its processes a signal after a while, and see how it ends."""
    point = Point()
    run = place.start()
    began, family = time.monotonic(), set()
    while run.poll() is None and time.monotonic() - began < END_S:
        if time.monotonic() - began >= moment_s and (found := processes(run, victim)):
            family |= {run, *run.children(recursive=True)}
            finished = place.journaled()
            point.seconds, point.finished = time.monotonic() - began, len(finished)
            random.choice(found).send_signal(number)
            break
        time.sleep(POLL_S)
    output = ended(run, family, point)
    if point.seconds is None:
        return point
    check_ended(place, victim, number, finished, point)
    check_resumed(place, finished, verdicts, point)
    if point.wrong:
        point.wrong.append(f"(output) {output[-1500:]}")
    return point


def ended(run: psutil.Popen, family: set[psutil.Process], point: Point) -> str:
    """Wait for the end of a run and of all that it had started; return what it printed."""
    try:
        output = str(run.communicate(timeout=END_S)[0], errors="replace")
    except subprocess.TimeoutExpired:
        point.wrong.append(f"the run had not ended after {END_S:g} s")
        for process in [*run.children(recursive=True), run]:
            process.kill()
        output = str(run.communicate()[0], errors="replace")
    _, alive = psutil.wait_procs([one for one in family if one.pid != run.pid], timeout=GONE_S)
    left = [one for one in alive if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    if left:
        point.wrong.append(f"{len(left)} processes are left")
        for process in left:
            process.kill()
    return output


def check_ended(place: Place, victim: str, number: int, finished: dict[str, Record], point: Point) -> None:
    """Check the results of a run of which a process was killed."""
    died = victim == "controller" and number == signal.SIGKILL
    if died:
        directories = sorted(path.parent for path in place.work_dir.glob(f"*/{JOURNAL}"))
        if not directories:
            return  # it had not recorded anything
        command = [sys.executable, "-m", "bench", "report", str(directories[-1])]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            point.wrong.append(f"bench report ended with {done.returncode}: {done.stderr[-500:]}")
    if not results_file(place.work_dir).is_file():
        if finished:
            point.wrong.append("there are no results")
        return
    try:
        found = place.records()
    except ValueError as problem:
        point.wrong.append(str(problem))
        return
    run = place.results()["run"]
    expected = {True: "died", False: "interrupted"}[died] if victim == "controller" else "finished"
    if expected == "interrupted" and all(record["reason_code"] != "not_run" for record in found.values()):
        expected = run["state"]  # the signal may have come when everything was decided
    if run["state"] != expected:
        point.wrong.append(f"the state is {run['state']}, expected {expected}")
    if run["collected"] != len(found):
        point.wrong.append(f"{run['collected']} cases were collected, and {len(found)} have a record")
    for name, record in finished.items():
        if name not in found or found[name]["verdict"] != record["verdict"]:
            point.wrong.append(f"{name} was finished and is lost")


def check_resumed(
    place: Place, finished: dict[str, Record], verdicts: Mapping[str, str], point: Point
) -> None:
    """Go on with ``--reuse latest``; check what was taken over, what it comes to, and what is left."""
    reuse = ("--reuse", "latest") if (place.work_dir / "latest").exists() else ()
    before = place.records() if reuse and results_file(place.work_dir).is_file() else {}
    run = place.start(*reuse)
    ended(run, {run}, point)
    found = place.records()
    for name, record in found.items():
        if name in finished and not record["reused"]:
            point.wrong.append(f"{name} was finished and not taken over: {record['warnings']}")
        if record["reused"] and different(record, before[name]):
            point.wrong.append(f"{name} was taken over with another {different(record, before[name])}")
        if record["verdict"] != verdicts.get(name):
            point.wrong.append(
                f"{name} is {record['verdict']} after resuming, expected {verdicts.get(name)}: {record['reason']}"
            )
    if missing := set(verdicts) - set(found):
        point.wrong.append(f"there is no record of {', '.join(sorted(missing))} after resuming")
    point.wrong += [f"left behind: {path.name}" for path in left_over(place)]


def different(record: Record, before: Record) -> list[str]:
    """Return the keys in which two records differ that should be equal."""
    return [key for key in record if key not in OF_ONE_RUN and record[key] != before.get(key)]


def left_over(place: Place) -> Iterator[Path]:
    """Return the temporary folders and files that two runs have left."""
    yield from place.temporary.glob("modelgate-*")
    yield from place.work_dir.glob("*/.evaluation_results.json.*")
    yield from place.work_dir.glob("*/.running")


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--points", type=int, default=20, help="runs for each victim and signal (default: %(default)s)"
    )
    parser.add_argument(
        "--tasks", type=int, default=3, help="acceleration tasks of a run (default: %(default)s)"
    )
    parser.add_argument("--victims", default=",".join(VICTIMS))
    parser.add_argument("--signals", default=",".join(SIGNALS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    random.seed(options.seed)
    with tempfile.TemporaryDirectory(prefix="kills-") as base:
        undisturbed_s, verdicts = undisturbed(made(Path(base, "first"), options.tasks))
        print(f"an undisturbed run takes {undisturbed_s:.1f} s\n")
        print("victim        signal  runs  seconds after the start  finished then  wrong")
        failed = False
        for victim in options.victims.split(","):
            for name in options.signals.split(","):
                points = []
                for number in range(options.points):
                    moment = random.uniform(0, undisturbed_s)
                    for tries in range(TRIES):  # this run may have ended before that moment
                        place = made(Path(base, f"{victim}-{name}-{number}-{tries}"), options.tasks)
                        point = kill_once(place, victim, SIGNALS[name], moment / 2**tries, verdicts)
                        if point.seconds is not None:
                            break
                    points.append(point)
                failed |= shown(victim, name, points)
    return int(failed)


def made(directory: Path, tasks: int) -> Place:
    """Return a place with its inputs."""
    directory.mkdir()
    write_evaluations(directory / "evaluations", EVALUATIONS)
    return Place(directory, tasks)


def undisturbed(place: Place) -> tuple[float, dict[str, str]]:
    """Run once without a kill; return its seconds, and the verdicts by id.

    Raises:
        RuntimeError: it wrote no results, or did not decide every case.
    """
    began, run = time.monotonic(), place.start()
    output = str(run.communicate(timeout=END_S)[0], errors="replace")
    seconds = time.monotonic() - began
    if not results_file(place.work_dir).is_file():
        raise RuntimeError(f"a run that nobody disturbed wrote no results:\n{output[-3000:]}")
    verdicts = {name: record["verdict"] for name, record in place.records().items()}
    undecided = [name for name, verdict in verdicts.items() if verdict not in FINISHED]
    if undecided:
        raise RuntimeError(f"a run that nobody disturbed did not decide {undecided}:\n{output[-3000:]}")
    return seconds, verdicts


def shown(victim: str, name: str, points: Sequence[Point]) -> bool:
    """Print a line and what went wrong; return whether anything did."""
    hit = [point for point in points if point.seconds is not None]
    wrong = [line for point in points for line in point.wrong]
    seconds = (
        f"{min(point.seconds or 0 for point in hit):.1f} to {max(point.seconds or 0 for point in hit):.1f}"
        if hit
        else "-"
    )
    counts = (
        f"{min(point.finished for point in hit)} to {max(point.finished for point in hit)}" if hit else "-"
    )
    print(f"{victim:13} {name:7} {len(hit):4}  {seconds:23}  {counts:13}  {len(wrong)}", flush=True)
    for line in wrong:
        print(f"    {line}", flush=True)
    return bool(wrong) or not hit


if __name__ == "__main__":
    sys.exit(main())
