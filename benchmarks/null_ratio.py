"""How far from the truth a measured speedup is: the same pipeline as baseline and candidate, 20 pairs.

The true ratio is 1.000. The suite judges 20 such pairs under ``-n 4``; beside it stands what the plain
protocol says of the same pipeline, alone on the machine and in four processes at once. Then three real
candidates: measured side by side with others on leased cores, alone on one core, and ``--exclusive`` on
all cores.

    python benchmarks/null_ratio.py [--pairs 20]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from suite import CANDIDATES, PROMPTS, ROOT, TASKS, run_plain, run_suite, start_plain, write_tasks

# What is reported for its own sake is measured for longer than a run's default.
PRECISELY = ["--ungated-rounds", "40", "--ungated-precision", "0.03"]
PIPELINE = ROOT / "fixtures/pipelines/baselines/ddim_20.py"
REAL = {"deepcache": 17, "scheduler": 18, "tome": 6}


def pair(prompt_id: str, baseline: Path, candidate: Path, target: Path) -> dict:
    """Return one task with absolute paths."""
    return {
        "prompt_id": prompt_id, "difficulty": "easy", "prompt_context": "", "target_file": str(target),
        "baseline_file": str(baseline), "candidate_file": str(candidate),
    }  # fmt: skip


def spread(name: str, ratios: list[float], intervals: list[tuple[float, float]] | None = None) -> None:
    """Print the distances of ratios from 1."""
    distances = [abs(ratio - 1) for ratio in ratios]
    covered = (
        "" if intervals is None else f"{sum(low <= 1 <= high for low, high in intervals):8}/{len(intervals)}"
    )
    print(
        f"{name:44}{min(ratios):8.3f}{max(ratios):8.3f}{100 * statistics.median(distances):9.1f} %"
        f"{100 * max(distances):8.1f} %{covered}"
    )


def null_ratios(count: int, directory: Path) -> None:
    """Measure the same pipeline against itself, by the suite and by the plain protocol."""
    options = write_tasks(directory, [pair(f"null{i}", PIPELINE, PIPELINE, PIPELINE) for i in range(count)])
    print(f"{'true ratio 1.000':44}{'least':>8}{'most':>8}{'median off':>11}{'worst off':>10}   cover 1")
    _, results = run_suite("-n", "4", *PRECISELY, *options)
    found = [record["speedup"] for record in results["records"]]
    spread(
        "modelgate -n 4, up to 40 rounds a pair",
        [f["value"] for f in found],
        [(f["low"], f["high"]) for f in found],
    )
    print(f"{'':44}rounds: {sorted(f['rounds'] for f in found)}")

    plain = [*options, "--prompts", str(PROMPTS), "--num-samples", "32", "--batch-size", "4"]
    one = [*plain, "--only", "null0", "--repeat", str(count)]
    spread("plain, alone, all cores", [row["ratio"] for row in run_plain(*one)[1]])
    each = [*plain, "--only", "null0", "--repeat", str(-(-count // 4)), "--threads", "1"]
    together = [start_plain(*each) for _ in range(4)]
    rows = [row for process in together for row in json.loads(process.communicate()[0].splitlines()[-1])]
    spread("plain, four processes at once, 1 thread each", [row["ratio"] for row in rows[:count]])


def real_candidates(directory: Path) -> None:
    """Measure three real candidates side by side, alone on one core, and exclusively on all cores."""
    annotations = {entry["prompt_id"]: entry for entry in json.loads(TASKS.read_text())}
    candidates = {entry["prompt_id"]: entry["candidate_file"] for entry in json.loads(CANDIDATES.read_text())}
    tasks = []
    for name, number in REAL.items():
        entry = annotations[number]
        files = [
            (TASKS.parent / path).resolve()
            for path in (entry["baseline_file"], candidates[number], entry["target_file"])
        ]
        tasks.append(pair(name, *files))
    busy = [{**tasks[0], "prompt_id": f"other{i}"} for i in range(3)]
    print(f"\n{'speedup [interval]':14}" + "".join(f"{name:>24}" for name in REAL))
    found = {}
    for how, chosen, options, cores in (
        ("side by side", tasks + busy, ["-n", "4"], None),
        ("alone, 1 core", tasks, [], {0}),
        ("--exclusive", tasks, ["-n", "4", "--exclusive"], None),
    ):
        _, results = run_suite(*write_tasks(directory, chosen), *PRECISELY, *options, only_cores=cores)
        speedups = {record["prompt_id"]: record["speedup"] for record in results["records"]}
        found[how] = [speedups[name] for name in REAL]
        cells = (f"{s['value']:.2f} [{s['low']:.2f}, {s['high']:.2f}]" for s in found[how])
        print(f"{how:14}" + "".join(f"{cell:>24}" for cell in cells))
    for other in ("alone, 1 core", "--exclusive"):
        overlaps = [
            a["low"] <= b["high"] and b["low"] <= a["high"]
            for a, b in zip(found["side by side"], found[other], strict=True)
        ]
        print(f"intervals of side by side and {other} overlap: {dict(zip(REAL, overlaps, strict=True))}")
    print("(an exclusive pair uses all cores: where a candidate gains more from threads than its baseline,")
    print(" or less, the true ratios differ; the row on one core has the threads of side by side)")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelgate-null-") as directory:
        null_ratios(arguments.pairs, Path(directory))
        real_candidates(Path(directory))


if __name__ == "__main__":
    main()
