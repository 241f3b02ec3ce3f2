"""The scoring process of a worker: what it loads next to a candidate, and imports, is there before that is timed."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from bench.acceleration.host.scoring_process import ScoringProcess
from bench.metrics import measuring


class Process:
    """In place of a process that loads a model as soon as it is allowed to."""

    def __init__(self) -> None:
        self.may_load, self.said = threading.Event(), []

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *error: object) -> None:
        self.said.append("closed")

    def ask(self, request: dict[str, Any], timeout_s: float) -> None:
        assert self.may_load.wait(timeout_s)
        self.said.append(request["op"])

    def is_alive(self) -> bool:
        return "closed" not in self.said

    def resume(self) -> None:
        self.said.append("resumed")

    def pause(self) -> None:
        self.said.append("paused")

    def place(self, cpus: object) -> None:
        self.said.append("placed")


def arms(process: Process) -> Any:
    return SimpleNamespace(
        gpu=None, device="cpu", cpus=(0,), limits=SimpleNamespace(load_timeout_s=30),
        start=lambda role, name: process,
    )  # fmt: skip


@pytest.fixture
def imports(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Imports that take until they are allowed to end."""
    found = SimpleNamespace(may_end=threading.Event(), count=0)

    def import_ahead() -> None:
        assert found.may_end.wait(30)
        found.count += 1

    monkeypatch.setattr(measuring, "import_ahead", import_ahead)
    return found


@pytest.mark.parametrize("wanted", ["on", "pause"])
def test_nothing_is_timed_before_what_scores_is_loaded_and_imported(imports, wanted):
    process = Process()
    with ScoringProcess("tiny-clip") as scoring:
        scoring.begin(arms(process))
        scoring.begin(arms(process))
        process.may_load.set()
        asked = threading.Thread(
            target=lambda: scoring.on(arms(process)) if wanted == "on" else scoring.pause()
        )
        asked.start()
        asked.join(0.1)
        assert asked.is_alive(), "imports are not over"
        imports.may_end.set()
        asked.join(30)
        assert not asked.is_alive()
    assert imports.count == 1
    assert process.said == ["load", *(["resumed", "placed"] if wanted == "on" else ["paused"]), "closed"]
