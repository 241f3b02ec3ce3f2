"""What collecting costs: 1,000 tasks with pipeline files of their own, with neither torch nor diffusers imported.

python benchmarks/collection.py [--tasks 1000]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from suite import ROOT, write_tasks

WATCH = (
    "import sys\n"
    "def pytest_sessionfinish():\n"
    "    print('IMPORTED', sorted({'torch', 'diffusers', 'transformers', 'datasets'} & sys.modules.keys()))\n"
)


def seconds(directory: Path, options: list[str]) -> tuple[float, str]:
    """Collect once; return ``(wall seconds, the line that names what was imported)``."""
    command = [
        sys.executable, "-m", "pytest", "cases/test_acceleration.py", "--collect-only", "-q", "-s",
        "-p", "no:cacheprovider", "-p", "watch_imports", *options,
    ]  # fmt: skip
    begin = time.perf_counter()
    finished = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(directory)},
    )
    elapsed = time.perf_counter() - begin
    collected = sum("::" in line for line in finished.stdout.splitlines())
    imported = next(line for line in finished.stdout.splitlines() if line.startswith("IMPORTED"))
    return elapsed, f"{collected} collected, {imported.lower()}"


def main() -> None:
    """Print the time for many tasks, and beside it the time for one: the start of pytest itself."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1000)
    count = parser.parse_args().tasks
    text = (ROOT / "fixtures/pipelines/targets/deepcache_dpmsolver_20.py").read_text()
    with tempfile.TemporaryDirectory(prefix="modelgate-collect-") as name:
        directory = Path(name)
        (directory / "watch_imports.py").write_text(WATCH)
        tasks = []
        for number in range(count):
            paths = {}
            for role in ("target", "baseline", "candidate"):
                path = directory / f"{role}_{number}.py"
                path.write_text(text.replace("cache_interval=3", f"cache_interval={number + 2}"))
                paths[f"{role}_file"] = str(path)
            prose = f"Make it at least {1.2 + number % 7 / 10:.1f}x faster at 512x512."
            tasks.append({"prompt_id": number, "difficulty": "hard", "prompt_context": prose, **paths})
        options = write_tasks(directory, tasks)
        one = write_tasks(directory, tasks[:1])
        one_s, one_text = seconds(directory, one)
        options = write_tasks(directory, tasks)
        many_s, many_text = seconds(directory, options)
    print(f"1 task:      {one_s:6.2f} s  ({one_text})")
    print(f"{count} tasks: {many_s:6.2f} s  ({many_text}); {many_s / one_s:.1f} times as long")


if __name__ == "__main__":
    main()
