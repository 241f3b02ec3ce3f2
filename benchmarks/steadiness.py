"""Whether the shipped tasks are decided the same way in every run, on a quiet machine and under load.

    python benchmarks/steadiness.py [--runs 5] [--loaded-runs 5] [--cores 0,1]
    python benchmarks/steadiness.py --runs 1 --loaded-runs 0 -- -n 0 -k tiny_sd-plain-1 --num-samples 2  # small

Each run is ``pytest cases/test_acceleration.py -n 4``; arguments after ``--`` are added to it. Printed for each run: exit
code, passed tasks, rejected controls, wall time, the peak memory of its process tree, and verdicts other than a pass.
Below it stand speedups that are within a factor of 1.2 of their requirement. The load is one busy process per core, on
the cores of the run.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import psutil
from suite import ROOT, Judged, Results, add_run_arguments, cases_command, read_results

SAMPLE_EVERY_S = 0.5
NEAR = 1.2  # a speedup within this factor of its requirement is named


@dataclass(frozen=True)
class Run:
    """What one run took and found."""

    code: int
    seconds: float
    peak_bytes: int
    results: Results


def spin(core: int) -> None:
    """Keep one core busy until the process is ended."""
    os.sched_setaffinity(0, {core})
    while True:
        sum(range(10_000))


@contextmanager
def load_on(cores: set[int]) -> Iterator[None]:
    """Keep each of these cores busy with a process of its own within the block."""
    processes = [multiprocessing.Process(target=spin, args=(core,), daemon=True) for core in cores]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.join()


def tree_bytes(root: psutil.Process) -> int:
    """Return the proportional set size of a process and its descendants; shared pages count once."""
    total = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:  # it ended since the list was made
            continue
    return total


def run_once(
    cores: set[int],
    directory: Path,
    arguments: Sequence[str],
    *,
    meanwhile: Callable[[], None] = lambda: None,
    limit_s: float | None = None,
) -> Run:
    """Run the acceleration cases on some cores and watch the memory of the process tree.

    Args:
        cores: of the run.
        directory: its work directory.
        arguments: of pytest.
        meanwhile: is called about twice a second while it runs.
        limit_s: seconds after which the run is asked to end; what it has decided by then is in its results.
    """
    command = cases_command("acceleration", directory, ["-n", "4", *arguments], cores)
    begin, peak = time.perf_counter(), 0
    with open(directory / "output.txt", "w", encoding="utf-8") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            meanwhile()
            if limit_s is not None and time.perf_counter() - begin > limit_s:
                process.terminate()
                limit_s = None
            try:
                peak = max(peak, tree_bytes(watched))
            except psutil.NoSuchProcess:  # it ended since it was asked
                break
            time.sleep(SAMPLE_EVERY_S)
    code, seconds = process.wait(), time.perf_counter() - begin
    meanwhile()
    return Run(code, seconds, peak, read_results(directory))


def print_run(name: str, run: Run) -> None:
    """Print a line for a run, and one for each speedup near its requirement."""
    summary = run.results.summary
    odd = [
        f"{record.id}: {record.reason}"
        for record in run.results.records
        if record.verdict not in ("pass", "skip")
    ]
    print(
        f"{name:8}{run.code:5}{summary.passed:5}/{summary.total:<3}"
        f"{summary.controls.rejected:6}/{summary.controls.total:<3}{run.seconds:9.0f}{run.peak_bytes / 1e9:9.1f}  "
        + ("; ".join(odd) or "-"),
        flush=True,
    )
    for record in run.results.records:
        if is_near(record):
            print(
                f"    {record.id}: {record.speedup.value:.2f}x is near the required {record.speedup.required:g}x",
                flush=True,
            )


def is_near(record: Judged) -> bool:
    """Whether a speedup is within a factor of ``NEAR`` of its requirement."""
    speedup = record.speedup
    if speedup.required is None or speedup.value is None:
        return False
    return 1 / NEAR < speedup.value / speedup.required < NEAR


def main() -> None:
    """Print a line per run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5, help="runs without load (default 5)")
    parser.add_argument("--loaded-runs", type=int, default=5, help="runs under load (default 5)")
    add_run_arguments(parser)
    options = parser.parse_args()
    cores = options.cores
    print(f"{len(cores)} cores; pytest cases/test_acceleration.py -n 4 {' '.join(options.pytest)}".rstrip())
    print(f"{'run':8}{'exit':>5}{'passed':>8}{'controls':>10}{'seconds':>9}{'peak GB':>9}  not as expected")
    for number in range(options.runs + options.loaded_runs):
        loaded = number >= options.runs
        with (
            tempfile.TemporaryDirectory(prefix="modelgate-steady-") as directory,
            load_on(cores) if loaded else nullcontext(),
        ):
            print_run("loaded" if loaded else "quiet", run_once(cores, Path(directory), options.pytest))


if __name__ == "__main__":
    main()
