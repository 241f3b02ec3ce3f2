"""How far a measured speedup is from the truth: one pipeline against itself, whose true speedup is 1.000.

    python benchmarks/null_ratio.py [--pairs 20] [--rounds 40] [--real deepcache scheduler tome]
    python benchmarks/null_ratio.py --pairs 1 --rounds 6 --samples 2 --batch-size 1 --workers 0 --real  # smallest

The suite judges the pairs with four workers. The plain protocol judges the same pipeline alone on the machine, and in as
many processes at a time. Then three real candidates are judged: next to others on leased cores, alone on one core, and with
``--exclusive`` on all cores.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from suite import (
    PIPELINES,
    PROMPTS,
    Judged,
    Task,
    finish_plain,
    read_results,
    run_cases,
    shipped_tasks,
    shown,
    start_plain,
    write_tasks,
)

PIPELINE = PIPELINES / "baselines/ddim_20.py"
REAL = {"deepcache": 17, "scheduler": 18, "tome": 6}  # prompt ids of shipped tasks
BUSY = 3  # pairs that run next to the real candidates


@dataclass(frozen=True)
class Sizes:
    """Sizes of the measurement."""

    pairs: int
    rounds: int
    samples: int
    batch_size: int
    workers: int

    @property
    def common(self) -> list[str]:
        """Arguments of both protocols."""
        return ["--num-samples", str(self.samples), "--batch-size", str(self.batch_size)]

    @property
    def suite(self) -> list[str]:
        """Arguments of the suite: many rounds, and precise intervals."""
        return [*self.common, "--ungated-rounds", str(self.rounds), "--ungated-precision", "0.03"]

    @property
    def distributed(self) -> list[str]:
        """Arguments of the suite with workers."""
        return [*self.suite, "-n", str(self.workers)]


def ungated(task: Task, prompt_id: str) -> Task:
    """Return a task that asks for no speedup: what is reported for its own sake is measured for all rounds."""
    return {key: task[key] for key in ("target_file", "baseline_file", "candidate_file")} | {
        "prompt_id": prompt_id,
        "difficulty": "easy",
        "prompt_context": "",
    }


def judge(
    directory: Path, tasks: Sequence[Task], arguments: Sequence[str], cores: set[int] | None = None
) -> list[Judged]:
    """Let the suite judge tasks; return their records."""
    options = [*write_tasks(directory, tasks), *arguments]
    with tempfile.TemporaryDirectory(prefix="modelgate-null-") as work:
        run_cases("acceleration", Path(work), options, cores)
        records = read_results(Path(work)).records
    for record in records:
        if record.speedup.value is None:
            raise RuntimeError(f"{record.id} has no speedup: {record.reason}")
    return records


def print_spread(
    name: str, ratios: Sequence[float], intervals: Sequence[tuple[float, float]] | None = None
) -> None:
    """Print how far ratios are from 1, and how many intervals contain 1."""
    distances = [abs(ratio - 1) for ratio in ratios]
    covered = ""
    if intervals is not None:
        covered = f"{sum(low <= 1 <= high for low, high in intervals):8}/{len(intervals)}"
    print(
        f"{name:44}{min(ratios):8.3f}{max(ratios):8.3f}{100 * statistics.median(distances):9.1f} %"
        f"{100 * max(distances):8.1f} %{covered}"
    )


def print_null_ratios(directory: Path, sizes: Sizes) -> None:
    """Measure the same pipeline against itself, by the suite and by the plain protocol."""
    files = dict.fromkeys(("target_file", "baseline_file", "candidate_file"), str(PIPELINE))
    tasks = [ungated(files, f"null{number}") for number in range(sizes.pairs)]
    print(f"{'true ratio 1.000':44}{'least':>8}{'most':>8}{'median off':>11}{'worst off':>10}   cover 1")
    found = [record.speedup for record in judge(directory, tasks, sizes.distributed)]
    print_spread(
        f"modelgate -n {sizes.workers}",
        [speedup.value for speedup in found if speedup.value is not None],
        [(s.low, s.high) for s in found if s.low is not None and s.high is not None],
    )
    print(f"{'':44}rounds: {sorted(speedup.rounds for speedup in found)}")

    one = [*write_tasks(directory, tasks[:1]), "--prompts", str(PROMPTS), *sizes.common]
    alone = finish_plain(start_plain(*one, "--repeat", str(sizes.pairs)))
    print_spread("plain, alone, all cores", [result.ratio for result in alone])
    processes = max(1, sizes.workers)
    each = [*one, "--repeat", str(-(-sizes.pairs // processes)), "--threads", "1"]
    together = [start_plain(*each) for _ in range(processes)]
    ratios = [result.ratio for process in together for result in finish_plain(process)]
    print_spread(f"plain, {processes} at a time, 1 thread each", ratios[: sizes.pairs])


def print_real_candidates(directory: Path, names: Sequence[str], sizes: Sizes) -> None:
    """Measure real candidates next to others, alone on one core, and exclusively on all cores."""
    shipped = {task["prompt_id"]: task for task in shipped_tasks()}
    tasks = [ungated(shipped[REAL[name]], name) for name in names]
    busy = [ungated(tasks[0], f"other{number}") for number in range(BUSY)]
    print(f"\n{'speedup [interval]':20}" + "".join(f"{name:>24}" for name in names))
    found: dict[str, list[Judged]] = {}
    for title, chosen, arguments, cores in (
        ("next to others", tasks + busy, sizes.distributed, None),
        ("alone, 1 core", tasks, sizes.suite, {min(os.sched_getaffinity(0))}),
        ("--exclusive", tasks, [*sizes.distributed, "--exclusive"], None),
    ):
        records = {record.prompt_id: record for record in judge(directory, chosen, arguments, cores)}
        found[title] = [records[name] for name in names]
        print(f"{title:20}" + "".join(f"{shown(record.speedup):>24}" for record in found[title]))
    for other in ("alone, 1 core", "--exclusive"):
        overlaps = {
            name: overlap(first, second)
            for name, first, second in zip(names, found["next to others"], found[other], strict=True)
        }
        print(f"intervals of next to others and {other} overlap: {overlaps}")
    print(
        "(An exclusive pair uses all cores. Its true ratio differs where threads help one arm more than the"
    )
    print(" other. The row on one core has the threads of the row next to others.)")


def overlap(first: Judged, second: Judged) -> bool:
    """Whether the intervals of two speedups overlap."""
    a, b = first.speedup, second.speedup
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return False
    return a.low <= b.high and b.low <= a.high


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=20, help="pairs of equal pipelines (default 20)")
    parser.add_argument("--rounds", type=int, default=40, help="timed rounds per pair at most (default 40)")
    parser.add_argument("--samples", type=int, default=32, help="samples of each pair (default 32)")
    parser.add_argument("--batch-size", type=int, default=4, help="images per call (default 4)")
    parser.add_argument("--workers", type=int, default=4, help="worker processes of the suite (default 4)")
    parser.add_argument(
        "--real", nargs="*", choices=REAL, default=list(REAL),
        help="real candidates (default: all; without a name, none)",
    )  # fmt: skip
    options = parser.parse_args()
    sizes = Sizes(options.pairs, options.rounds, options.samples, options.batch_size, options.workers)
    with tempfile.TemporaryDirectory(prefix="modelgate-null-") as directory:
        print_null_ratios(Path(directory), sizes)
        if options.real:
            print_real_candidates(Path(directory), options.real, sizes)


if __name__ == "__main__":
    main()
