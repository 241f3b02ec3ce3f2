"""Two runs on one machine: the second waits for the first, and says so, or fails where it is told to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from suites import ROOT, own_environment

from bench.core.errors import CaseProblem
from bench.machine.cores import core_names, usable_cores
from bench.machine.lease import LeaseServer
from bench.machine.machine_lease import MachineLocks
from bench.run.view import RunView, Seeds

PATIENCE_S = 120
USAGE_ERROR = 4
CASE = """
import time
from pathlib import Path
from bench.plugin import VIEW

def test_holds_a_lease(pytestconfig):
    print("captured")
    with pytestconfig.stash[VIEW].lease(on_gpu=False, exclusive=True):
        Path("held").touch()
        while Path("hold").exists():
            time.sleep(0.01)
"""


class Runs:
    """Runs of a test that holds all cores for as long as a file says so."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.processes = directory, []
        self.leases = directory / "leases"

    def start(self, name: str, *arguments: str, hold: bool = False) -> subprocess.Popen:
        directory = self.directory / name
        directory.mkdir()
        (directory / "test_hold.py").write_text(CASE)
        if hold:
            (directory / "hold").touch()
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-p", "bench.plugin", "-p", "no:cacheprovider", "-c", os.devnull,
             "--rootdir", str(directory), "--work-dir", str(directory / "out"), str(directory), *arguments],
            cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=own_environment({"MODELGATE_LEASE_DIR": str(self.leases)}),
        )  # fmt: skip
        self.processes.append(process)
        if hold:
            wait_until((directory / "held").exists, process)
        return process

    def let_go(self, name: str) -> None:
        (self.directory / name / "hold").unlink()


def wait_until(holds, process: subprocess.Popen) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def read_until(process: subprocess.Popen, word: str) -> list[str]:
    """Return what the process prints until a line has this word."""
    lines: list[str] = []
    while not lines or word not in lines[-1]:
        line = process.stdout.readline()
        assert line, lines
        lines.append(line)
    return lines


@pytest.fixture
def runs(tmp_path: Path):
    """Start runs that share a directory of locks, and end them."""
    started = Runs(tmp_path)
    yield started
    for process in started.processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("arguments", [("-q",), ("-v", "-s"), ("-q", "-n", "1"), ("--capture=sys",)])
def test_the_second_run_says_for_whom_it_waits_and_then_runs(runs: Runs, arguments: tuple[str, ...]) -> None:
    first = runs.start("first", hold=True)
    second = runs.start("second", *arguments)
    line = read_until(second, "waiting for")[-1]
    assert f" (pid {first.pid}) on this machine; --no-wait fails instead" in line
    assert line.startswith("waiting for cpu-0")
    runs.let_go("first")
    rest = second.communicate(timeout=PATIENCE_S)[0]
    assert second.returncode == 0, rest
    assert "waiting for" not in rest
    assert first.wait(PATIENCE_S) == 0


def test_a_run_that_is_killed_frees_what_it_held(runs: Runs) -> None:
    first = runs.start("first", hold=True)
    second = runs.start("second")
    read_until(second, "waiting for")
    first.send_signal(signal.SIGKILL)
    assert "1 passed" in second.communicate(timeout=PATIENCE_S)[0]


def test_a_run_that_does_not_wait_is_refused_with_one_line_where_all_is_held(runs: Runs) -> None:
    first = runs.start("first", hold=True)
    second = runs.start("second", "--no-wait")
    output = second.communicate(timeout=PATIENCE_S)[0]
    assert second.returncode == USAGE_ERROR, output
    (line,) = (line for line in output.splitlines() if line.startswith("ERROR: "))
    assert line.startswith("ERROR: --no-wait: found cpu-0")
    assert f"(pid {first.pid}) on this machine, expected it to be free; leave --no-wait out" in line


def test_a_case_that_does_not_wait_ends_with_a_reason_code(tmp_path: Path) -> None:
    server = LeaseServer(
        tmp_path / "s", 2, locks=MachineLocks(("cpu-0", "cpu-1"), lambda: "mine", tmp_path), wait=False
    ).start()
    other = MachineLocks(("cpu-1",), lambda: "other", tmp_path)
    view = RunView(tmp_path, str(server.address), Seeds(0), 1, ((0,), (1,)))
    try:
        other.take((0,), 1)
        with pytest.raises(CaseProblem, match="found cpu-1, held by run other") as raised:
            view.lease(on_gpu=False, exclusive=True).__enter__()
        assert raised.value.reason_code == "machine_busy"
    finally:
        server.stop()


@pytest.mark.skipif(len(usable_cores()) < 2, reason="a run is refused as a whole where all cores are held")
def test_a_case_that_needs_a_held_core_is_an_error_of_its_own(tmp_path: Path) -> None:
    other = MachineLocks(core_names(usable_cores()), lambda: "other", tmp_path / "leases")
    taken, _ = other.take((0,), 1)
    try:
        finished = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "cases/test_reranking.py", "-k", "digits",
             "--work-dir", str(tmp_path / "out"), "--exclusive", "--no-wait", "-q"],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_S,
            env=own_environment({"MODELGATE_LEASE_DIR": str(tmp_path / "leases")}),
        )  # fmt: skip
    finally:
        other.release(taken)
    assert finished.returncode == 1, finished.stdout + finished.stderr
    results = json.loads((tmp_path / "out/latest/evaluation_results.json").read_text())
    found = {(record["verdict"], record["reason_code"]) for record in results["records"]}
    assert found == {("error", "machine_busy")}
    assert "held by run other" in results["records"][0]["reason"]
