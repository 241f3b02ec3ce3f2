"""What collecting costs: 1,000 tasks with three pipeline files each, without an import of torch.

    python benchmarks/collection.py [--tasks 1000]

Prints what ``pytest --collect-only`` takes for one task and for all of them, how many cases were collected, and which of
the heavy modules were imported. On a quiet machine, collecting 1,000 tasks with 3,000 files stays under 3 s. Processor
time hardly depends on what else the machine does.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from suite import PIPELINES, ROOT, Task, write_tasks

HEAVY = ("datasets", "diffusers", "pandas", "torch", "transformers")
PLUGIN = f"""
import sys

def pytest_sessionfinish():
    print("HEAVY", *(name for name in {HEAVY!r} if name in sys.modules))
"""
PIPELINE = PIPELINES / "targets/deepcache_ddim_30.py"
INTERVAL = "cache_interval=3"


@dataclass(frozen=True)
class Collected:
    """What one collection took and found.

    Attributes:
        seconds: from the start of pytest to its end.
        processor_s: processor time of pytest.
        cases: how many were collected.
        heavy: heavy modules that were imported.
    """

    seconds: float
    processor_s: float
    cases: int
    heavy: tuple[str, ...]

    def text(self) -> str:
        """Return it as the table shows it."""
        return (
            f"{self.seconds:6.2f} s, {self.processor_s:.2f} s of processor time, {self.cases} collected, "
            f"heavy modules: {', '.join(self.heavy) or 'none'}"
        )


def collect(directory: Path, options: Sequence[str]) -> Collected:
    """Collect the acceleration cases once, in a new process."""
    command = [
        sys.executable, "-m", "pytest", "cases/test_acceleration.py", "--collect-only", "-q", "-s",
        "-p", "no:cacheprovider", "-p", "heavy_modules", *options,
    ]  # fmt: skip
    begin, processor_begin = time.perf_counter(), _children_s()
    finished = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(directory)},
    )
    seconds, processor_s = time.perf_counter() - begin, _children_s() - processor_begin
    if finished.returncode:
        raise RuntimeError(
            f"pytest --collect-only ended with exit code {finished.returncode}, expected 0:\n"
            f"{finished.stdout[-3000:]}\n{finished.stderr[-3000:]}"
        )
    lines = finished.stdout.splitlines()
    heavy = next(line for line in lines if line.startswith("HEAVY")).split()[1:]
    return Collected(seconds, processor_s, sum("::" in line for line in lines), tuple(heavy))


def _children_s() -> float:
    """Return the processor time of all processes that were started and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def make_task(directory: Path, number: int) -> Task:
    """Write three pipeline files that no other task has, and return their task."""
    text = PIPELINE.read_text(encoding="utf-8")
    paths = {}
    for role in ("target", "baseline", "candidate"):
        path = directory / f"{role}_{number}.py"
        path.write_text(text.replace(INTERVAL, f"cache_interval={number + 2}"), encoding="utf-8")
        paths[f"{role}_file"] = str(path)
    context = f"Make it at least {1.2 + number % 7 / 10:.1f}x faster at 512x512."
    return {"prompt_id": number, "difficulty": "hard", "prompt_context": context, **paths}


def main() -> None:
    """Print the time for one task, which is that of pytest itself, and for all of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=1000, help="how many tasks (default 1000)")
    count = parser.parse_args().tasks
    with tempfile.TemporaryDirectory(prefix="modelgate-collect-") as name:
        directory = Path(name)
        (directory / "heavy_modules.py").write_text(PLUGIN, encoding="utf-8")
        tasks = [make_task(directory, number) for number in range(count)]
        one = collect(directory, write_tasks(directory, tasks[:1]))
        many = collect(directory, write_tasks(directory, tasks))
    print(f"{'1 task':12}{one.text()}")
    print(f"{f'{count} tasks':12}{many.text()}; {many.seconds / one.seconds:.1f} times as long")


if __name__ == "__main__":
    main()
