"""Runs the suite or the plain protocol as a user would, for the scripts beside this file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TASKS = ROOT / "fixtures/tasks/anno_tiny.json"
CANDIDATES = ROOT / "fixtures/tasks/gen_tiny.json"
PROMPTS = ROOT / "fixtures/datasets/shapes_prompts.jsonl"
CLIP = ROOT / "fixtures/zoo/tiny-clip"


def run_suite(*arguments: str, only_cores: set[int] | None = None) -> tuple[float, dict]:
    """Run ``pytest cases/`` with arguments; return ``(wall seconds, evaluation_results.json)``."""
    with tempfile.TemporaryDirectory(prefix="modelgate-bench-") as directory:
        command = [
            *pinned(only_cores),
            sys.executable,
            "-m",
            "pytest",
            "cases/test_acceleration.py",
            "-q",
            "-p",
            "no:cacheprovider",
        ]
        command += ["--work-dir", directory, *arguments]
        begin = time.perf_counter()
        finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - begin
        results = Path(directory) / "latest" / "evaluation_results.json"
        if not results.is_file():
            raise RuntimeError(
                f"the suite wrote no results:\n{finished.stdout[-3000:]}\n{finished.stderr[-3000:]}"
            )
        return seconds, json.loads(results.read_text())


def run_plain(*arguments: str, environment: dict[str, str] | None = None) -> tuple[float, list[dict]]:
    """Run the plain protocol; return ``(wall seconds, its results)``."""
    begin = time.perf_counter()
    finished = start_plain(*arguments, environment=environment)
    output, errors = finished.communicate()
    seconds = time.perf_counter() - begin
    if finished.returncode:
        raise RuntimeError(f"the plain protocol failed:\n{errors[-3000:]}")
    return seconds, json.loads(output.splitlines()[-1])


def start_plain(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.Popen:
    """Start the plain protocol without waiting for it."""
    command = [sys.executable, str(ROOT / "benchmarks/plain_protocol.py"), *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **(environment or {})},
    )  # fmt: skip


def write_tasks(directory: Path, tasks: list[dict]) -> list[str]:
    """Write annotation and generation lists for tasks with absolute paths; return the options that name them."""
    annotations = [{key: value for key, value in task.items() if key != "candidate_file"} for task in tasks]
    generations = [{key: task[key] for key in ("prompt_id", "candidate_file")} for task in tasks]
    anno, gen = directory / "anno.json", directory / "gen.json"
    anno.write_text(json.dumps(annotations))
    gen.write_text(json.dumps(generations))
    return ["--tasks", str(anno), "--candidates", str(gen)]


def pinned(cores: set[int] | None) -> list[str]:
    """Return the command prefix that confines a command to these cores."""
    return [] if cores is None else ["taskset", "--cpu-list", ",".join(map(str, sorted(cores)))]
