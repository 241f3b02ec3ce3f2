"""Whether what ships is decided the same way every time: runs of ``pytest cases/ -n 4``, with and without other load.

For each run: exit code, verdicts, wall time, peak memory of the whole process tree. The artificial load is one
spinning process a core, pinned to the same cores as the run.

    python benchmarks/steadiness.py [--runs 5] [--loaded-runs 5] [--cores 0,1]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
from suite import ROOT, pinned

SAMPLE_EVERY_S = 0.5


def spin(core: int) -> None:
    """Keep one core busy for ever."""
    os.sched_setaffinity(0, {core})
    while True:
        sum(range(10_000))


@contextmanager
def load_on(cores: set[int]):
    """Keep every one of these cores busy with a process of its own during the body."""
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
    """Return the proportional set size of a process and all below it: shared pages count once."""
    total = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:  # it ended between the listing and the look
            continue
    return total


def one_run(cores: set[int], directory: Path) -> tuple[int, float, int, dict]:
    """Run what ships; return ``(exit code, seconds, peak bytes, results)``."""
    command = [
        *pinned(cores),
        sys.executable,
        "-m",
        "pytest",
        "cases/test_acceleration.py",
        "-n",
        "4",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    command += ["--work-dir", str(directory)]
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    watched, peak = psutil.Process(process.pid), 0
    with open(directory / "output.txt", "w") as output:
        while process.poll() is None:
            time.sleep(SAMPLE_EVERY_S)
            if process.poll() is None:
                peak = max(peak, tree_bytes(watched))
        output.write(process.stdout.read())
    seconds = time.perf_counter() - begin
    return (
        process.returncode,
        seconds,
        peak,
        json.loads((directory / "latest" / "evaluation_results.json").read_text()),
    )


def main() -> None:
    """Print a line per run, and every case that did not end as it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--loaded-runs", type=int, default=5)
    parser.add_argument("--cores", default=",".join(map(str, sorted(os.sched_getaffinity(0)))))
    arguments = parser.parse_args()
    cores = {int(core) for core in arguments.cores.split(",")}
    print(f"{len(cores)} cores; pytest cases/test_acceleration.py -n 4")
    print(f"{'run':8}{'exit':>5}{'passed':>8}{'controls':>10}{'seconds':>9}{'peak GB':>9}  not as expected")
    for number in range(arguments.runs + arguments.loaded_runs):
        loaded = number >= arguments.runs
        with tempfile.TemporaryDirectory(prefix="modelgate-steady-") as directory:
            if loaded:
                with load_on(cores):
                    code, seconds, peak, results = one_run(cores, Path(directory))
            else:
                code, seconds, peak, results = one_run(cores, Path(directory))
        summary = results["summary"]
        odd = [
            f"{r['id']}: {r['reason']}" for r in results["records"] if r["verdict"] not in ("pass", "skip")
        ]
        print(
            f"{'loaded' if loaded else 'quiet':8}{code:5}{summary['passed']:5}/{summary['total']:<3}"
            f"{summary['controls']['rejected']:6}/{summary['controls']['total']:<3}{seconds:9.0f}{peak / 1e9:9.1f}  "
            + ("; ".join(odd) or "-"),
            flush=True,
        )
        for record in results["records"]:
            margin(record)


def margin(record: dict) -> None:
    """Say so where a gated speedup is nearer to its requirement than a fifth."""
    speedup = record["speedup"]
    if speedup["required"] is None or speedup["value"] is None:
        return
    ratio = speedup["value"] / speedup["required"]
    if 1 / 1.2 < ratio < 1.2:
        print(
            f"    {record['id']}: {speedup['value']:.2f}x is near the required {speedup['required']:g}x",
            flush=True,
        )


if __name__ == "__main__":
    main()
