"""What a verdict costs: the time of the suite for the shipped tasks, against that of the plain protocol.

    python benchmarks/verdict_cost.py [--num-samples 64] [--batch-size 4] [--skip-serial]
    python benchmarks/verdict_cost.py --only 24 --num-samples 2 --batch-size 1 --workers 0 --skip-serial  # smallest

Prints wall times and their ratios, all from one run of this script, and both protocols' results for each task. Controls
are left out on both sides. So is the task of torch.compile, whose compiler takes the same time everywhere.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
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
    write_tasks,
)

COMPILED = 11


def judged_by_suite(arguments: Sequence[str]) -> tuple[float, Results]:
    """Return the seconds of a run of the suite, and its results."""
    with tempfile.TemporaryDirectory(prefix="modelgate-cost-") as directory:
        seconds = run_cases("acceleration", Path(directory), arguments)
        return seconds, read_results(Path(directory))


def judged_by_plain(arguments: Sequence[str]) -> tuple[float, list[PlainResult]]:
    """Return the seconds of the plain protocol, and its results."""
    begin = time.perf_counter()
    results = finish_plain(start_plain(*arguments))
    return time.perf_counter() - begin, results


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
        parallel_s, results = judged_by_suite(["-n", options.workers, *suite])
        serial_s = None if options.skip_serial else judged_by_suite(suite)[0]
        plain_s, plain = judged_by_plain([*common, "--prompts", str(PROMPTS), "--clip", str(CLIP)])

    print(f"{len(tasks)} tasks, {options.num_samples} samples each, batches of {options.batch_size}")
    print(f"{'protocol':34}{'seconds':>9}{'plain / this':>14}")
    print(f"{'plain, one process, all cores':34}{plain_s:9.1f}{1:14.2f}")
    if serial_s is not None:
        print(f"{'modelgate, serial':34}{serial_s:9.1f}{plain_s / serial_s:14.2f}")
    print(f"{f'modelgate, -n {options.workers}':34}{parallel_s:9.1f}{plain_s / parallel_s:14.2f}")
    if serial_s is not None:
        print(f"serial / -n {options.workers}: {serial_s / parallel_s:.2f}")
    print(f"verdicts of -n {options.workers}: {results.summary.passed} passed of {results.summary.total}")
    print(f"{'task':44}{'speedup [interval]':>24}{'plain':>8}{'loss':>9}{'plain':>9}")
    for record, peer in zip(results.records, plain, strict=True):
        print_task(record, peer)


if __name__ == "__main__":
    main()
