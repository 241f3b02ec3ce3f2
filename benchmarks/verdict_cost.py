"""What a verdict costs: the time of the suite for the shipped tasks, against that of the plain protocol.

    python benchmarks/verdict_cost.py [--num-samples 64] [--batch-size 4] [--skip-serial]
    python benchmarks/verdict_cost.py --only 24 --num-samples 2 --batch-size 1 --workers 0 --skip-serial  # smallest

Prints wall times and processor times with their ratios, all from one run of this script, and both protocols' results for
each task. Controls are left out on both sides. So is the task of torch.compile, whose compiler takes the same time in both.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from suite import (
    CLIP,
    PROMPTS,
    Judged,
    PlainResult,
    Results,
    finish_plain,
    read_results,
    run_cases,
    shipped_tasks,
    shown,
    start_plain,
    write_calls,
    write_tasks,
)

COMPILED = 11


@dataclass(frozen=True)
class Cost:
    """What a protocol took: seconds, and seconds of processors, which other work on the machine changes less."""

    seconds: float
    processor_s: float


class Clock:
    """Measures from its making on; what is measured has to have ended, and its processes with it."""

    def __init__(self) -> None:
        self._began, self._used = time.perf_counter(), _used_s()

    def read(self) -> Cost:
        """Return what was taken since."""
        return Cost(time.perf_counter() - self._began, _used_s() - self._used)


def _used_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def judged_by_suite(arguments: Sequence[str]) -> tuple[Cost, Results]:
    """Return what a run of the suite took, and its results."""
    with tempfile.TemporaryDirectory(prefix="modelgate-cost-") as directory:
        clock = Clock()
        run_cases("acceleration", Path(directory), arguments)
        return clock.read(), read_results(Path(directory))


def judged_by_plain(arguments: Sequence[str]) -> tuple[Cost, list[PlainResult]]:
    """Return what the plain protocol took, and its results."""
    clock = Clock()
    results = finish_plain(start_plain(*arguments))
    return clock.read(), results


def print_cost(name: str, cost: Cost, plain: Cost) -> None:
    """Print what a protocol took, and how many times that the plain one took."""
    print(
        f"{name:34}{cost.seconds:9.1f}{plain.seconds / cost.seconds:14.2f}{cost.processor_s:13.1f}"
        f"{plain.processor_s / cost.processor_s:14.2f}"
    )


def print_task(record: Judged, peer: PlainResult) -> None:
    """Print what both say of a task."""
    losses = ("-" if loss is None else f"{100 * loss:.1f} %" for loss in (record.quality.loss, peer.loss))
    print(
        f"{record.id:44}{shown(record.speedup):>24}{peer.ratio:8.2f}"
        + "".join(f"{loss:>9}" for loss in losses)
    )


def main() -> None:
    """Run the suite and the plain protocol, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--num-samples", default="64", help="samples of each task (default 64)")
    parser.add_argument("--batch-size", default="4", help="images per call (default 4)")
    parser.add_argument("--max-rounds", default="40", help="timed rounds of each task (default 40)")
    parser.add_argument("--only", nargs="+", metavar="ID", help="prompt ids of the tasks (default: all)")
    parser.add_argument("--workers", default="4", help="worker processes of the suite (default 4)")
    parser.add_argument("--skip-serial", action="store_true", help="leave out the run without workers")
    options = parser.parse_args()
    tasks = [
        task
        for task in shipped_tasks()
        if task["prompt_id"] != COMPILED and (options.only is None or str(task["prompt_id"]) in options.only)
    ]
    if not tasks:
        parser.error(f"--only {' '.join(options.only)}: no shipped task has one of these prompt ids")
    with tempfile.TemporaryDirectory(prefix="modelgate-cost-") as directory:
        sizes = ["--num-samples", options.num_samples, "--batch-size", options.batch_size]
        common = [*write_tasks(Path(directory), tasks), *sizes]
        suite = [*common, "--max-rounds", options.max_rounds]
        parallel, results = judged_by_suite(["-n", options.workers, *suite])
        serial = None if options.skip_serial else judged_by_suite(suite)[0]
        # Not lost where the plain protocol fails.
        print(f"modelgate took {parallel.seconds:.1f} s; now the plain protocol", file=sys.stderr, flush=True)
        named = [*common, "--prompts", str(PROMPTS), "--clip", str(CLIP)]
        plain_cost, plain = judged_by_plain([*named, *write_calls(Path(directory), *named)])

    print(f"{len(tasks)} tasks, {options.num_samples} samples each, batches of {options.batch_size}")
    print(f"{'protocol':34}{'seconds':>9}{'plain / this':>14}{'processor s':>13}{'plain / this':>14}")
    print_cost("plain, one process, all cores", plain_cost, plain_cost)
    if serial is not None:
        print_cost("modelgate, serial", serial, plain_cost)
    print_cost(f"modelgate, -n {options.workers}", parallel, plain_cost)
    if serial is not None:
        print(f"serial / -n {options.workers}: {serial.seconds / parallel.seconds:.2f}")
    print(f"verdicts of -n {options.workers}: {results.summary.passed} passed of {results.summary.total}")
    print(f"{'task':44}{'speedup [interval]':>24}{'plain':>8}{'loss':>9}{'plain':>9}")
    for record, peer in zip(results.records, plain, strict=True):
        print_task(record, peer)


if __name__ == "__main__":
    main()
