"""A run against a server that is killed in the middle keeps what had arrived, and goes on with the rest."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from threading import Event, Lock

import pytest
from comparing import kind_command, run_kind
from scripted_server import ScriptedServer, text_answer
from suites import own_environment

pytestmark = pytest.mark.slow


class Half:
    """Answers so many requests, and holds the others until it is told to go on."""

    def __init__(self, first: int) -> None:
        self.left, self.released, self._lock = first, Event(), Lock()

    def __call__(self, body):
        with self._lock:
            self.left -= 1
            held = self.left < 0
        if held:
            self.released.wait(60)
        return text_answer(" A" if body.get("seed") else " B")


def test_drawn_answers_that_had_arrived_are_reused_and_the_others_drawn(tmp_path):
    half = Half(10)
    with ScriptedServer(half) as server:
        asked = [
            "--api-base", server.url, "--api-model", "tiny", "--datasets", "siqa_gen", "--limit", "24",
            "--api-concurrency", "8", "--generation-kwargs", "temperature=0.6",
        ]  # fmt: skip
        process = subprocess.Popen(
            kind_command("language", tmp_path, *asked), cwd=tmp_path, env=own_environment(),
            stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

        def stored() -> list[str]:
            files = tmp_path.glob("out/2*/predictions/tiny/siqa_gen.jsonl")
            return [line for file in files for line in file.read_text().splitlines()]

        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and (len(stored()) < 10 or len(server.bodies) < 18):
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert len(stored()) == 10  # while eight other requests were awaited
        half.released.set()
        before = len(server.bodies)
        finished = run_kind("language", tmp_path, *asked, "--reuse", "latest")
        (record,) = finished.results["records"]
        assert (record["engine"]["reused"], record["engine"]["asked"]) == (10, 14), finished.output
        assert len(server.bodies) - before == 14
        assert len({body["seed"] for body in server.bodies[before:]}) == 14
        again = run_kind("language", tmp_path, *asked, "--reuse", "latest", "--seed", "1")
        (record,) = again.results["records"]
        assert (record["engine"]["reused"], record["engine"]["asked"]) == (0, 24), again.output
        assert "settings differ" in again.output
