"""Which files a case of each kind enters, from collection to its record, and which of them belong to another kind.

    python benchmarks/rooms.py                       # every kind
    python benchmarks/rooms.py --kinds reranking     # one
    python benchmarks/rooms.py --list                # name the files

A file is entered when a function of it is called in pytest's own process between the start of collection and the record of
the one case that is run. No case may enter a file of another kind; the exit code is 1 where one does.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.kinds import NAMES  # noqa: E402

ONE_CASE: dict[str, tuple[str, ...]] = {
    "acceleration": (
        "-k", "tiny_sd-plain-1", "--num-samples", "4", "--max-rounds", "6", "--time-budget", "20",
        "--warmup-rounds", "1",
    ),
    "language": ("-k", "tiny_lm-piqa_ll"),
    "regression": ("-k", "synthetic-rubric", "--training-args", "num_train_epochs=1"),
    "reranking": ("-k", "pixel_cosine"),
    "evaluated": ("--evaluated", str(ROOT / "tests" / "run" / "contract" / "evaluations")),
}  # fmt: skip


class Tracer:
    """A pytest plugin that notes the files whose functions are called."""

    def __init__(self) -> None:
        self.files: set[str] = set()

    def pytest_collection(self) -> None:
        """Begin to note."""
        sys.setprofile(self._note)

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # around all others, those that attach the record included
    def pytest_runtest_makereport(self) -> Generator[None, Any, Any]:
        """Stop when the record is there, before anything is made of it."""
        report = yield
        if hasattr(report, "modelgate_record"):
            sys.setprofile(None)
        return report

    def _note(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            self.files.add(frame.f_code.co_filename)


def trace(kind: str) -> list[str]:
    """Run one case of a kind in this process; return the files of the repository that it entered, relative to it.

    Raises:
        RuntimeError: when the case did not run.
    """
    tracer = Tracer()
    with tempfile.TemporaryDirectory() as work:
        arguments = [
            str(ROOT / "cases" / f"test_{kind}.py"),
            "-q",
            "-p",
            "no:cacheprovider",
            "--work-dir",
            work,
        ]
        code = pytest.main([*arguments, *ONE_CASE[kind]], plugins=[tracer])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"the case of {kind} did not run: pytest ended with {code}")
    inside = (Path(file) for file in tracer.files)
    return sorted(str(file.relative_to(ROOT)) for file in inside if file.is_relative_to(ROOT / "bench"))


def of_other_kinds(kind: str, files: Sequence[str]) -> list[str]:
    """Return those of the files that are in the folder of another kind."""
    others = {name for name in NAMES if name != kind}
    return [file for file in files if Path(file).parts[1] in others]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row per kind."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--list", action="store_true", help="name the files")
    parser.add_argument("--trace", choices=NAMES, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.trace:
        print("\n" + json.dumps(trace(options.trace)))
        return 0
    print(f"{'kind':<14}{'files entered':>14}{'of its room':>13}{'shared':>8}{'of another kind':>17}")
    wrong = 0
    for kind in options.kinds:
        # A process of its own: what one kind imports must not hide what another one does.
        finished = subprocess.run(
            [sys.executable, __file__, "--trace", kind], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if finished.returncode:
            print(finished.stdout + finished.stderr, file=sys.stderr)
            return finished.returncode
        files = json.loads(finished.stdout.strip().splitlines()[-1])
        others = of_other_kinds(kind, files)
        own = sum(Path(file).parts[1] == kind for file in files)
        shared = len(files) - own - len(others)
        print(f"{kind:<14}{len(files):>14}{own:>13}{shared:>8}{len(others):>17}")
        for file in files if options.list else others:
            print(f"    {file}")
        wrong += len(others)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
