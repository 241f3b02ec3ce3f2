"""Runs of the real command on the cases of one kind, records that can be compared, and a fixed number of threads."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import warm
from suites import ROOT, Finished, own_cores, own_environment


def kind_command(kind: str, directory: Path, *arguments: str) -> list[str]:
    """Return the command line of a run of the cases of one kind; its runs lie in ``out`` of a directory."""
    return [
        "taskset", "--cpu-list", own_cores(arguments), sys.executable, "-m", "pytest",
        str(ROOT / f"cases/test_{kind}.py"), "-p", "no:cacheprovider", "--rootdir", str(ROOT),
        "-c", str(ROOT / "pytest.ini"), "--work-dir", str(directory / "out"), *arguments,
    ]  # fmt: skip


def run_kind(kind: str, directory: Path, *arguments: str) -> Finished:
    """Run the cases of one kind in a directory, as a user would."""
    done = warm.run(
        kind_command(kind, directory, *arguments), cwd=directory, env=own_environment(), timeout=300
    )
    return finished_in(directory, done.returncode, done.stdout + done.stderr)


def finished_in(directory: Path, code: int, output: str) -> Finished:
    """Return what the latest run left in ``out`` of a directory."""
    latest = directory / "out/latest"
    results = latest / "evaluation_results.json"
    return Finished(
        code, output, json.loads(results.read_text()) if results.is_file() else None, latest.resolve()
    )


def by_id(finished: Finished) -> dict[str, dict[str, Any]]:
    """Return the records of a run by the ids of their cases."""
    assert finished.results is not None, finished.output
    return {record["id"]: record for record in finished.results["records"]}


def comparable(record: dict[str, Any], *more: str) -> dict[str, Any]:
    """Return a record without what may differ between two runs of the same: its times, and the keys in `more`."""
    kept = {key: value for key, value in record.items() if key not in ("duration_s", *more)}
    training = record.get("training")
    if training is not None:
        kept["training"] = {key: value for key, value in training.items() if key != "seconds"}
    return kept


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread for torch: small models are fastest so, and other workers need the rest."""
    from bench.machine.torchvision_shim import ensure_torchvision

    ensure_torchvision()
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
