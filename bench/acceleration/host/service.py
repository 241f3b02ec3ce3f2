"""The fork server as a service of the run: started when the first arm is asked for, ended with the run."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.acceleration.host.kept_server import kept_server
from bench.acceleration.protocol.wire import READY
from bench.core.errors import CaseProblem
from bench.core.kind import Service, ServiceRun
from bench.machine.scrub import scrubbed_environment
from bench.machine.threads import BRIEF_SPIN

READY_TIMEOUT_S = 300.0
_END_S = 10.0
_TAIL_LINES = 10
_ROOT = Path(__file__).resolve().parents[3]
SERVER = (sys.executable, "-m", "bench.acceleration.host.forkserver")
# Without a pool in the server there is nothing that a fork could tear apart.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

# Whether there is a GPU is asked of the driver's library: CUDA itself works in no fork of a process that has asked it, and
# what users' files import may ask.
_CUDA_UNTOUCHED = {"PYTORCH_NVML_BASED_CUDA_CHECK": "1"}


class ForkServerService(Service):
    """A running fork server.

    Attributes:
        address: of its socket.
    """

    def __init__(self, process: subprocess.Popen[bytes], address: str) -> None:
        self._process, self.address = process, address

    def is_alive(self) -> bool:
        """Whether it still serves."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End it with all its arms, and wait for its end."""
        self._process.terminate()
        try:
            self._process.wait(timeout=_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def server_environment(pass_env: tuple[str, ...] = ()) -> dict[str, str]:
    """Return what a fork server sees of this process's environment: its arms can read all of it.

    Args:
        pass_env: names that are passed on although they look like secrets.
    """
    return BRIEF_SPIN | scrubbed_environment(dict(os.environ), pass_env) | _ONE_THREAD | _CUDA_UNTOUCHED


def start_fork_server(
    run: ServiceRun, *, command: Sequence[str] = SERVER, timeout_s: float = READY_TIMEOUT_S
) -> Service:
    """Start a fork server and wait until it has imported torch, diffusers and the users' code.

    Where the environment names one that is kept, that one is taken if it has imported the same code.

    Args:
        run: what a service is started with.
        command: starts it, with its address and the users' folders as arguments.
        timeout_s: how long to wait.

    Raises:
        CaseProblem: when it ends before it is ready, or is not ready in time; when nobody serves at the address that the
            environment names.
    """
    kept = kept_server(run.user_dirs)
    if kept is not None:
        return kept
    address = str(run.scratch / f"fork{run.number}")
    log = run.logs / "forkserver.log"
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [*command, address, *map(str, run.user_dirs)],
            cwd=_ROOT,
            env=server_environment(run.pass_env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    service = ForkServerService(process, address)
    began = time.monotonic()
    try:
        if _first_line(process, timeout_s) != READY:
            raise _not_ready(process, log, time.monotonic() - began, timeout_s)
    except BaseException:
        service.stop()
        raise
    return service


def _first_line(process: subprocess.Popen[bytes], timeout_s: float) -> str:
    """Return what the process prints first; less than a line when it ends or the time is over."""
    assert process.stdout is not None
    descriptor, received = process.stdout.fileno(), b""
    deadline = time.monotonic() + timeout_s
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    while not received.endswith(b"\n") and poller.poll(1000 * max(0.0, deadline - time.monotonic())):
        chunk = os.read(descriptor, 4096)
        if not chunk:
            break
        received += chunk
    return received.decode(errors="replace").strip()


def _not_ready(process: subprocess.Popen[bytes], log: Path, waited_s: float, timeout_s: float) -> CaseProblem:
    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:])
    found = (
        f"was not ready within {timeout_s:g} s" if waited_s >= timeout_s else f"ended after {waited_s:.0f} s"
    )
    return CaseProblem(
        "internal_error",
        f"the fork server {found}; expected it to import torch, diffusers and the files of --user-dir; "
        f"see logs/{log.name}, whose last lines are:\n{tail}",
    )
