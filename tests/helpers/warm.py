"""Runs of the suite without their imports: forked from one process that all tests share, and that has made them.

A short run spends most of its time on importing torch, transformers and pandas, and there are hundreds of runs.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from held import folder, held
from warm_python import ask

_PROCESS = Path(__file__).with_name("warm_process.py")


def run(
    command: list[str], *, cwd: Path, env: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run ``[taskset --cpu-list CORES] PYTHON -m MODULE ...`` or ``PYTHON SCRIPT ...``; never raise for its exit code.

    Returns:
        What ``subprocess.run`` would: a negative code for a signal, and what it printed.

    Raises:
        subprocess.TimeoutExpired: when it was still running; it was killed.
    """
    cores = os.sched_getaffinity(0)
    words = list(command)
    if words[0] == "taskset":
        assert words[1] == "--cpu-list", words
        cores = {int(core) for core in words[2].split(",")}
        words = words[3:]
    assert words[0] == sys.executable, words
    assert words[1] == "-m" or words[1].endswith(".py"), words
    request = {"arguments": words[1:], "cwd": str(cwd), "environment": dict(env), "cores": sorted(cores)}
    with (
        socket.socket(socket.AF_UNIX) as client,
        Path(os.devnull).open() as nothing,
        tempfile.TemporaryFile("w+") as output,
        tempfile.TemporaryFile("w+") as errors,
    ):
        client.connect(_address())
        ask(client, request, [nothing.fileno(), output.fileno(), errors.fileno()])
        code = _code_of(client, command, timeout)
        printed = []
        for file in (output, errors):
            file.seek(0)
            printed.append(file.read())
    return subprocess.CompletedProcess(command, code, *printed)


def _code_of(client: socket.socket, command: list[str], timeout: float) -> int:
    with client.makefile() as answers:
        pid = int(answers.readline())
        client.settimeout(timeout)
        try:
            return int(answers.readline())
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(command, timeout) from None


def _address() -> str:
    address = folder() / "warm"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    held(
        "warm-process", [sys.executable, str(_PROCESS), str(address)], cwd=Path("/"),
        environment={**environment, "PYTHONPATH": "", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return str(address)
