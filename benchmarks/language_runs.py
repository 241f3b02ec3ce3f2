"""Whole runs, for benchmarks/language.py: one task by three ways, and the language cases with and without workers.

The three ways are our cases with ``--lm-eval-tasks``, lm-evaluation-harness on our engine, and the harness by itself.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from suite import ROOT, run_cases


def processor_seconds() -> float:
    """Return the processor time of all threads, and of the child processes that have ended."""
    # Not os.times(): it counts in hundredths of a second, so a short call may have taken none.
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in spent)


CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "processor": processor_seconds}
# A whole command takes half of the harness's at most.
COMMAND = 2.0
TASK = "benchmark_choices"
# Questions of each dataset for each batch size: about as much work.
ROWS_OF_BATCH = {"1": 400, "4": 600, "auto": 1500}
TRAINING_ROWS = 200
METRICS = ("acc,none", "acc_norm,none")
_DECLARED = """
task: {task}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{context}}}}"
doc_to_choice: choices
doc_to_target: gold
metadata: {{version: 1}}
"""


def reached(ratio: float, asked: float) -> str:
    """Return whether a ratio is as large as it is asked to be, in a word."""
    return "yes" if ratio >= asked else "no"


def print_ways(
    model: Path, rows: Sequence[dict[str, Any]], batch: int, repeats: int, clock: str = "wall"
) -> None:
    """Print the seconds of each way, and what it measured.

    Args:
        model: directory of the model; files are written next to it.
        rows: questions with ``context``, ``choices`` and ``gold``.
        batch: texts of a batch.
        repeats: commands of each way, in alternating order.
        clock: what is compared.
    """
    folder = model.with_name("ways")
    (folder / "tasks").mkdir(parents=True, exist_ok=True)
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "tasks" / f"{TASK}.yaml").write_text(_DECLARED.format(task=TASK, rows=file), encoding="utf-8")
    harness = [
        "--tasks", TASK, "--include_path", str(folder / "tasks"), "--batch_size", str(batch), "--device", "cpu",
        "--model_args", f"pretrained={model},dtype=float32",
    ]  # fmt: skip
    ways: dict[str, Callable[[], dict[str, float]]] = {
        "cases, --lm-eval-tasks": lambda: _by_cases(model, folder, batch),
        "lm_eval --model modelgate": lambda: _by_harness(
            folder, ["bench.language.harness.lm", "run", "--model", "modelgate", *harness]
        ),
        "lm_eval --model hf": lambda: _by_harness(folder, ["lm_eval", "run", "--model", "hf", *harness]),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, dict[str, float]] = {}
    for number in range(repeats):
        for name in list(ways)[:: 1 if number % 2 else -1]:
            begin = CLOCKS[clock]()
            found[name] = ways[name]()
            seconds[name].append(CLOCKS[clock]() - begin)
    *_, peer = ways
    choices = len(rows[0]["choices"])
    print(f"\nwhole commands from a cold start, {len(rows)} questions of {choices} choices, {clock} time")
    print(
        f"{'':38}{'seconds':>12}{'hf / this':>12}{'asked':>7}{'reached':>8}{'acc':>10}{'acc_norm':>10}{'equal':>10}"
    )
    for name in ways:
        ratio = statistics.median(
            other / own for own, other in zip(seconds[name], seconds[peer], strict=True)
        )
        scores = "".join(f"{found[name][metric]:10.4f}" for metric in METRICS)
        equal = str(all(abs(found[name][metric] - found[peer][metric]) < 1e-9 for metric in METRICS))
        asked, met = ("-", "-") if name == peer else (f"{COMMAND:.1f}", reached(ratio, COMMAND))
        print(
            f"{name:38}{statistics.median(seconds[name]):12.2f}{ratio:12.2f}{asked:>7}{met:>8}{scores}{equal:>10}",
            flush=True,
        )


def _by_cases(model: Path, folder: Path, batch: int) -> dict[str, float]:
    run_cases(
        "language", folder / "out",
        [
            "--hf-path", str(model), "--dtype", "float32", "--batch-size", str(batch), "--lm-eval-tasks", TASK,
            "--lm-eval-include", str(folder / "tasks"),
        ],
        must_pass=True,
    )  # fmt: skip
    (file,) = (folder / "out/latest/results").glob(f"*/{TASK}.json")
    return _scores(json.loads(file.read_text())["lm_eval"]["results"])


def _by_harness(folder: Path, command: Sequence[str]) -> dict[str, float]:
    place = folder / f"{command[0]}-{time.monotonic_ns()}"
    done = subprocess.run(
        [sys.executable, "-m", *command, "--output_path", str(place)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with exit code {done.returncode}:\n{done.stderr[-3000:]}")
    (file,) = place.rglob("results_*.json")
    return _scores(json.loads(file.read_text())["results"][TASK])


def _scores(results: dict[str, Any]) -> dict[str, float]:
    return {metric: float(results[metric]) for metric in METRICS}


def print_suite(
    directory: Path, batches: Sequence[str], rows: int | None, datasets: Sequence[str], workers: int
) -> None:
    """Print how long runs of two models on the datasets take: on one core, serially, and with workers.

    The second model lies in ``random`` below the directory.

    A serial run has all cores for each batch; four workers have one each. So four workers gain what threads leave unused:
    most of three cores with one question per batch, little with batches that keep four threads busy. "At most" is the
    gain if each worker did as much as one core does alone.
    """
    several = f"-n {workers}"
    shipped = {"name": "shipped", "path": str(ROOT / "fixtures/zoo/tiny-lm"), "dtype": "float32"}
    # Random weights never end a text.
    made = {"name": "random", "path": str(directory / "random"), "dtype": "float32", "max_out_len": 16}
    config = directory / "eval.py"
    config.write_text(f"models = {[shipped, made]!r}\n", encoding="utf-8")
    print(
        f"\n{', '.join(datasets) or 'all datasets'} with tiny-lm and a random GPT-2, seconds of a whole run"
    )
    print(
        f"{'':24}{'one core':>9}{'serial':>8}{several:>8}{f'serial / {several}':>15}"
        f"{f'one core / {several}':>17}{'at most':>9}"
    )
    for batch in batches:
        count = ROWS_OF_BATCH[batch] if rows is None else rows
        options = [
            "--config", str(config), "--data", str(make_data(directory / f"rows{count}", count)),
            "--batch-size", batch,
        ]  # fmt: skip
        if datasets:
            options += ["--datasets", *datasets]
        one, serial, parallel = (
            run_cases("language", directory / "out", [*options, *more], cores, must_pass=True)
            for more, cores in (([], {0}), ([], None), (["-n", str(workers)], None))
        )
        print(
            f"{f'batch {batch}, {count:,} rows each':24}{one:9.1f}{serial:8.1f}{parallel:8.1f}"
            f"{serial / parallel:15.2f}{one / parallel:17.2f}{workers * serial / one:9.2f}",
            flush=True,
        )


def make_data(folder: Path, count: int) -> Path:
    """Write so many rows of each dataset to a folder, unless it is there."""
    from fixtures.datasets.language import make_rows  # noqa: PLC0415

    if folder.is_dir():
        return folder
    folder.mkdir()
    for source in make_rows.SOURCES:
        for suffix, part, rows in ((".jsonl", "evaluation", count), (".train.jsonl", "train", TRAINING_ROWS)):
            made = make_rows.rows(source, part, rows, seed=7, distinct=False)
            text = "".join(json.dumps(row) + "\n" for row in made)
            (folder / f"{source}{suffix}").write_text(text, encoding="utf-8")
    return folder
