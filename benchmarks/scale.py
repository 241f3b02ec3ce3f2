"""The suite on a whole set of tasks: what collecting 604 takes, and what judging a part of the zoo's set says.

    python benchmarks/scale.py [--tasks 60] [--wrong 10] [--minutes 90] [--cores 0,1]
    python benchmarks/scale.py --tasks 2 --wrong 1 -- -n 0 --num-samples 2 --time-budget 0  # small

Both sets are written to a temporary folder, as ``python -m bench tasks`` writes them. Printed: time, processor time and
peak memory of collecting the 604 tasks of the paper's models; then of the zoo's set, tasks spread evenly over the levels
with their reference candidates and some candidates that must be rejected: a line for each as soon as it is decided, then
the pass rate of each level with its interval, the achievement of the hard tasks, minutes, the peak memory of the process
tree, and verdicts other than a pass. Each pair is judged on 16 samples and has two minutes for its timed rounds; a run that
takes longer than ``--minutes`` is ended, and what it has decided by then is printed. Arguments after ``--`` are added to
those of pytest. Asked for: collecting in less than 5 s and 1 GB, and at least 60 tasks.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collection import PLUGIN, collect
from steadiness import run_once
from suite import ROOT, add_run_arguments, results_file

from bench.acceleration.taskset.models import PAPER
from bench.acceleration.taskset.tasks import SetTask, make_tasks
from bench.acceleration.taskset.writing import write_tasks
from bench.acceleration.taskset.zoo import zoo_models

Entry = dict[str, Any]
NOT_RUN = "not_run"
PASS = "pass"
# Enough for a verdict on tasks whose margins are wide.
BOUNDS = ("--num-samples", "16", "--time-budget", "120", "--ungated-rounds", "6")


class Progress:
    """Prints each verdict of a run when it appears in the results.

    Args:
        results: file that the run writes after every case.
        count: of cases.
    """

    def __init__(self, results: Path, count: int) -> None:
        self._results, self._count = results, count
        self._begin, self._seen = time.monotonic(), set[str]()

    def __call__(self) -> None:
        """Look at the results once more."""
        try:
            records = json.loads(self._results.read_bytes())["records"]
        except (FileNotFoundError, ValueError):  # it has not begun, or is being written
            return
        for record in records:
            if record["id"] in self._seen or record["reason_code"] == NOT_RUN:
                continue
            self._seen.add(record["id"])
            minutes = (time.monotonic() - self._begin) / 60
            print(
                f"{len(self._seen):5} of {self._count}, {minutes:5.1f} minutes: {record['id']}: {record['verdict']} "
                f"({record['reason_code']})",
                flush=True,
            )


def lists(folder: Path, annotations: str = "anno.json", candidates: str = "gen.json") -> list[str]:
    """Return the options that name the lists of a set."""
    return ["--tasks", str(folder / annotations), "--candidates", str(folder / candidates)]


def written(folder: Path, tasks: Sequence[SetTask]) -> Path:
    """Write a set of tasks to a new folder and return the folder."""
    write_tasks(folder, tasks, {})
    return folder


def zoo_tasks() -> list[SetTask]:
    """Return the tasks of the models that ship."""
    return make_tasks(zoo_models(ROOT / "fixtures/zoo"), prefix="zoo-")


def spread(entries: Sequence[Entry], count: int) -> list[Entry]:
    """Return some of the entries, spread evenly over all of them, and so over the levels."""
    count = min(count, len(entries))
    return [entries[number * len(entries) // count] for number in range(count)]


def part(folder: Path, right: int, wrong: int) -> list[str]:
    """Write lists of a part of a set, next to the whole ones; return the options that name them.

    Args:
        folder: of the set.
        right: tasks with their reference candidates.
        wrong: candidates that must be rejected.
    """
    names = ("anno_part.json", "gen_part.json")
    for name, of_right, of_wrong in zip(
        names, ("anno.json", "gen.json"), ("anno_wrong.json", "wrong.json"), strict=True
    ):
        chosen = [
            entry
            for whole, count in ((of_right, right), (of_wrong, wrong))
            for entry in spread(json.loads((folder / whole).read_text(encoding="utf-8")), count)
        ]
        (folder / name).write_text(json.dumps(chosen), encoding="utf-8")
    return lists(folder, *names)


def print_collection(folder: Path) -> None:
    """Print what collecting a set takes."""
    (folder / "heavy_modules.py").write_text(PLUGIN, encoding="utf-8")
    collected = collect(folder, lists(folder))
    # Of all processes that ended so far; nothing larger ran before.
    peak = 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"collecting{collected.text()}, {peak / 1e6:.0f} MB", flush=True)


def print_verdicts(directory: Path) -> None:
    """Print the columns of the paper with their intervals, and each verdict that is no pass."""
    results = json.loads(results_file(directory).read_bytes())
    summary = results["summary"]
    print(f"{'level':8}{'tasks':>7}{'passed':>8}  pass rate")
    for name, level in (*summary["levels"].items(), ("all", summary["every_level"])):
        if level["total"]:
            print(
                f"{name:8}{level['total']:7}{level['passed']:8}  {_interval(level, 'pass_rate', 'low', 'high')}"
            )
    keys = ("achievement_rate", "achievement_low", "achievement_high")
    print(f"achievement of the {summary['hard']['total']} hard tasks: {_interval(summary['hard'], *keys)}")
    controls = summary["controls"]
    print(f"candidates with a fault: {controls['rejected']} of {controls['total']} rejected for it")
    for record in results["records"]:
        if record["verdict"] != PASS and record["reason_code"] != NOT_RUN:
            print(f"    {record['id']}: {record['verdict']}: {record['reason']}")
    late = sum(record["reason_code"] == NOT_RUN for record in results["records"])
    if late:
        print(f"{late} cases, which count as not passed, were not reached in time; raise --minutes")


def _interval(values: Entry, value: str, low: str, high: str) -> str:
    if values[value] is None:
        return "-"
    return f"{values[value]:.3f} [{values[low]:.3f}, {values[high]:.3f}]"


def main() -> None:
    """Write, collect, judge, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=60, help="tasks of the zoo's set (default 60)")
    parser.add_argument("--wrong", type=int, default=10, help="candidates with a fault (default 10)")
    parser.add_argument("--minutes", type=float, default=90, help="of the run at most (default 90)")
    add_run_arguments(parser)
    options = parser.parse_args()
    cores = options.cores
    with tempfile.TemporaryDirectory(prefix="modelgate-scale-") as name:
        directory = Path(name)
        print_collection(written(directory / "paper", make_tasks(PAPER)))
        chosen = part(written(directory / "zoo", zoo_tasks()), options.tasks, options.wrong)
        try:
            run = run_once(
                cores,
                directory,
                ["-n", str(len(cores)), *BOUNDS, *chosen, *options.pytest],
                meanwhile=Progress(results_file(directory), options.tasks + options.wrong),
                limit_s=60 * options.minutes,
            )
        except FileNotFoundError:
            output = (directory / "output.txt").read_text(encoding="utf-8")[-2000:]
            sys.exit(
                f"found no results after at most {options.minutes:g} minutes; expected some; see:\n{output}"
            )
        print_verdicts(directory)
    print(f"{run.seconds / 60:.1f} minutes on {len(cores)} cores, peak {run.peak_bytes / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
