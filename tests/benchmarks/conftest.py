"""Runs of the scripts in benchmarks/, as a user starts them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from suites import ROOT, own_cores, own_environment

SCRIPTS = ROOT / "benchmarks"


@pytest.fixture
def run_script() -> Callable[..., str]:
    """Run a script on one core; return what it printed. Any exit code but 0 fails the test."""

    def run(name: str, *arguments: str, **environment: str) -> str:
        finished = subprocess.run(
            ["taskset", "--cpu-list", own_cores(()), sys.executable, str(SCRIPTS / name), *arguments],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=600,
            env=own_environment({"OMP_NUM_THREADS": "1", **environment}),
        )  # fmt: skip
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout

    return run


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the scripts, from which a test imports them by their names."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return SCRIPTS
