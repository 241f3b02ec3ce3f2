"""What the scripts in this folder share: runs of the suite and of the plain protocol, task files, evaluations, cores."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import msgspec  # noqa: E402

from bench.acceleration.record import Quality, Speedup  # noqa: E402

PROMPTS = ROOT / "fixtures/datasets/shapes_prompts.jsonl"
CLIP = ROOT / "fixtures/zoo/tiny-clip"
PIPELINES = ROOT / "fixtures/pipelines"
_ANNOTATIONS = ROOT / "fixtures/tasks/anno_tiny.json"
_GENERATIONS = ROOT / "fixtures/tasks/gen_tiny.json"
_TEXT_TO_IMAGE = re.compile(r"(?:StableDiffusion|Flux|PixArtAlpha)Pipeline\b")
_FILES = ("target_file", "baseline_file", "candidate_file")
_SHOWN_CHARACTERS = 3000  # of the output of a run that failed

Task = dict[str, Any]
"""An entry of a task file: an annotation with its candidate."""


# Results of acceleration cases ------------------------------------------------------------------------------


class Judged(msgspec.Struct):
    """What is read of the record of an acceleration case."""

    id: str
    verdict: str
    reason: str
    speedup: Speedup
    quality: Quality
    prompt_id: int | str | None = None


def shown(speedup: Speedup) -> str:
    """Return a speedup with its interval as tables show it."""
    if speedup.value is None:
        return "-"
    return f"{speedup.value:.2f} [{speedup.low:.2f}, {speedup.high:.2f}]"


class Controls(msgspec.Struct):
    """How many controls there are, and how many were rejected as they should be."""

    total: int
    rejected: int


class Summary(msgspec.Struct):
    """Counts of a run; controls are counted apart."""

    total: int
    passed: int
    controls: Controls


class Results(msgspec.Struct):
    """What is read of ``evaluation_results.json`` after a run of acceleration cases."""

    summary: Summary
    records: list[Judged]


def read_results(directory: Path) -> Results:
    """Return the results of the latest run in a work directory."""
    return msgspec.json.decode(results_file(directory).read_bytes(), type=Results)


def results_file(directory: Path) -> Path:
    """Return where the latest run in a work directory writes its results."""
    return directory / "latest" / "evaluation_results.json"


# Runs -------------------------------------------------------------------------------------------------------


def cases_command(
    kind: str, directory: Path, arguments: Sequence[str] = (), cores: Collection[int] | None = None
) -> list[str]:
    """Return the command that runs the cases of a kind, as a user would; its results go to a work directory."""
    return [
        *pinned(cores), sys.executable, "-m", "pytest", f"cases/test_{kind}.py", "-q", "-p", "no:cacheprovider",
        "--work-dir", str(directory), *arguments,
    ]  # fmt: skip


def run_cases(
    kind: str,
    directory: Path,
    arguments: Sequence[str] = (),
    cores: Collection[int] | None = None,
    *,
    must_pass: bool = False,
) -> float:
    """Run the cases of a kind; return the seconds that it took, the start of Python included.

    Raises:
        RuntimeError: a run that wrote no results, or with ``must_pass`` one that did not pass.
    """
    begin = time.perf_counter()
    finished = subprocess.run(
        cases_command(kind, directory, arguments, cores),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - begin
    if not results_file(directory).is_file() or (must_pass and finished.returncode):
        raise RuntimeError(
            f"pytest cases/test_{kind}.py ended with exit code {finished.returncode}, expected a run with results:\n"
            f"{finished.stdout[-_SHOWN_CHARACTERS:]}\n{finished.stderr[-_SHOWN_CHARACTERS:]}"
        )
    return seconds


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--cores``, a set, and the further arguments of pytest after ``--``."""
    parser.add_argument(
        "--cores",
        type=lambda text: {int(core) for core in text.split(",")},
        default=os.sched_getaffinity(0),
        help="cores of the runs, separated by commas (default: all)",
    )
    parser.add_argument("pytest", nargs="*", metavar="ARGUMENT", help="further arguments of pytest, after --")


def pinned(cores: Collection[int] | None) -> list[str]:
    """Return the beginning of a command that runs on these cores only; None is all of them."""
    return [] if cores is None else ["taskset", "--cpu-list", ",".join(map(str, sorted(cores)))]


# The plain protocol -----------------------------------------------------------------------------------------


class PlainResult(msgspec.Struct):
    """What the plain protocol says of a pair.

    Attributes:
        id: of the case.
        ratio: seconds of the baseline over seconds of the candidate.
        loss: relative loss of the CLIP score, a fraction; None where no CLIP model was given.
    """

    id: str
    ratio: float
    loss: float | None = None


def start_plain(*arguments: str) -> subprocess.Popen[str]:
    """Start the plain protocol; ``finish_plain`` waits for it."""
    command = [sys.executable, str(ROOT / "benchmarks/plain_protocol.py"), *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )


def write_calls(directory: Path, *arguments: str) -> list[str]:
    """Let the plain protocol see how the files of its pairs are called; return the option that names the answer.

    Raises:
        RuntimeError: it failed.
    """
    file = directory / "calls.json"
    process = start_plain(*arguments, "--see", str(file))
    _, errors = process.communicate()
    if process.returncode:
        raise _ended(process.returncode, errors)
    return ["--calls", str(file)]


def finish_plain(process: subprocess.Popen[str]) -> list[PlainResult]:
    """Wait for the plain protocol and return its results.

    Raises:
        RuntimeError: it failed.
    """
    output, errors = process.communicate()
    if process.returncode:
        raise _ended(process.returncode, errors)
    return msgspec.json.decode(output.splitlines()[-1], type=list[PlainResult])


def _ended(code: int, errors: str) -> RuntimeError:
    return RuntimeError(
        f"the plain protocol ended with exit code {code}, expected 0:\n{errors[-_SHOWN_CHARACTERS:]}"
    )


# Task files -------------------------------------------------------------------------------------------------


def shipped_tasks() -> list[Task]:
    """Return the tasks that ship and that the plain protocol can judge, with their candidates and absolute paths.

    Controls are left out, and so is what takes no prompt or makes videos.
    """
    annotations, generations = (
        json.loads(file.read_text(encoding="utf-8")) for file in (_ANNOTATIONS, _GENERATIONS)
    )
    candidates = {entry["prompt_id"]: entry["candidate_file"] for entry in generations}
    tasks: list[Task] = []
    for entry in annotations:
        if "expect" not in entry:
            task = {**entry, "candidate_file": candidates[entry["prompt_id"]]}
            tasks.append(task | {key: str((_ANNOTATIONS.parent / task[key]).resolve()) for key in _FILES})
    return [
        task
        for task in tasks
        if _TEXT_TO_IMAGE.search(Path(task["baseline_file"]).read_text(encoding="utf-8"))
    ]


def write_tasks(directory: Path, tasks: Sequence[Task]) -> list[str]:
    """Write tasks with absolute paths to an annotation and a generation list; return the options that name them."""
    annotations = [{key: value for key, value in task.items() if key != "candidate_file"} for task in tasks]
    generations = [{key: task[key] for key in ("prompt_id", "candidate_file")} for task in tasks]
    annotation_file, generation_file = directory / "anno.json", directory / "gen.json"
    annotation_file.write_text(json.dumps(annotations), encoding="utf-8")
    generation_file.write_text(json.dumps(generations), encoding="utf-8")
    return ["--tasks", str(annotation_file), "--candidates", str(generation_file)]


def write_evaluations(folder: Path, count: int) -> None:
    """Write stored evaluations, nine in ten of which pass; a case of each takes milliseconds."""
    folder.mkdir()
    for number in range(count):
        low = -0.2 if number % 10 == 9 else 0.2
        metric = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 30, "percent": False, "reason": None}
        gain = {
            "metric": "mrr@10", "over": "random order", "value": low + 0.1, "low": low, "high": low + 0.2,
            "percent": False, "expected": 0.2,
        }  # fmt: skip
        evaluation = {
            "schema": "modelgate-evaluation-1", "kind": "reranking", "model": "ranker", "dataset": "toy",
            "prefix": "eval", "step": number, "epoch": 1.0, "data": {"hash": None}, "metrics": {"mrr@10": metric},
            "score": {**metric, "metric": "mrr@10", "stderr": None, "unparsed": None, "required": None},
            "gain": gain, "queries": {"total": 30, "scored": 30}, "tie_rule": "pessimistic",
        }  # fmt: skip
        (folder / f"stored-{number:05}.json").write_text(json.dumps(evaluation))
