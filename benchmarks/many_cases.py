"""What a run writes and takes when it has many quick cases, beside plain pytest-xdist on tests that do the same.

    python benchmarks/many_cases.py [--cases 10000] [--workers 2] [--repeats 3]

Each case reads one stored evaluation and decides about it. The peer is a test file whose tests read the same files and
compare the same numbers, under the same workers and with compiled modules in place. Both run in turns; of each, the fastest
run counts. Printed: seconds, those of processors in all processes, which other work on the machine disturbs less,
milliseconds a case that the suite takes more of both, bytes written in all (what Linux counts as output of all processes of
the run, in pages) and the size of ``evaluation_results.json``. Asked for with 10,000 cases: at most 3 ms a case, at most 3
times the final size.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from suite import ROOT, cases_command, results_file, write_evaluations

BLOCK = 512  # bytes, the unit of ru_oublock
PEER = """
import json, pathlib, pytest

@pytest.mark.parametrize("path", sorted(pathlib.Path({folder!r}).iterdir()), ids=lambda path: path.stem)
def test_evaluation(path):
    assert json.loads(path.read_text())["gain"]["low"] > 0
"""


@dataclass(frozen=True)
class Measured:
    """What a run took.

    Attributes:
        seconds: from start to end.
        cpu: seconds of processors, of all processes.
        written: bytes.
    """

    seconds: float
    cpu: float
    written: int


def measured(command: Sequence[str], directory: Path) -> Measured:
    """Run a command to its end.

    Raises:
        RuntimeError: it ended otherwise than with failed tests, of which there are some.
    """
    log = directory / "output.txt"
    with log.open("w") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT,
            env={
                **os.environ, "PYTEST_ADDOPTS": "", "PYTHONDONTWRITEBYTECODE": "",
                "MODELGATE_LEASE_DIR": str(directory / "leases"),
            },
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 1:
        raise RuntimeError(
            f"{command} ended with {process.returncode}, expected 1:\n{log.read_text()[-3000:]}"
        )
    return Measured(seconds, usage.ru_utime + usage.ru_stime, usage.ru_oublock * BLOCK)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="many-") as base:
        directory = Path(base)
        evaluations, test_file = directory / "evaluations", directory / "peer" / "test_peer.py"
        write_evaluations(evaluations, options.cases)
        test_file.parent.mkdir()
        test_file.write_text(PEER.format(folder=str(evaluations)))
        workers = ["-n", str(options.workers)]
        peer_command = [
            sys.executable, "-m", "pytest", str(test_file), "-q", "-p", "no:cacheprovider", "--rootdir",
            str(test_file.parent), "-c", os.devnull, *workers,
        ]  # fmt: skip
        suite_runs, peer_runs = [], []
        for number in range(options.repeats):
            work_dir = directory / f"out{number}"
            suite_command = cases_command("evaluated", work_dir, ["--evaluated", str(evaluations), *workers])
            suite_runs.append(measured(suite_command, directory))
            peer_runs.append(measured(peer_command, directory))
            final = results_file(work_dir).stat().st_size
        suite_s, peer_s = (min(run.seconds for run in runs) for runs in (suite_runs, peer_runs))
        suite_cpu, peer_cpu = (min(run.cpu for run in runs) for runs in (suite_runs, peer_runs))
        written = max(run.written for run in suite_runs)
        more_ms, more_cpu_ms = (
            1000 * more / options.cases for more in (suite_s - peer_s, suite_cpu - peer_cpu)
        )
        print(f"{options.cases} cases, {options.workers} workers, the fastest of {options.repeats} runs each")
        print(f"suite         {suite_s:8.1f} s, {suite_cpu:.1f} s of processors")
        print(f"plain xdist   {peer_s:8.1f} s, {peer_cpu:.1f} s of processors")
        print(f"more          {more_ms:8.2f} ms a case, {suite_s / peer_s:.2f} times as long")
        print(f"more          {more_cpu_ms:8.2f} ms of processors a case")
        print(
            f"written       {written / 1e6:8.1f} MB, {written / final:.2f} times the final {final / 1e6:.1f} MB"
        )


if __name__ == "__main__":
    main()
