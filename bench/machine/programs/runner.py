"""Runs programs that nobody trusts, with their tests, and says what became of each.

A server forks two processes for each run, one for the program and one for its tests, both in a jail of their own: no
network, no other process, no file but the standard library's and those of an empty folder, limits on time, memory, files
and descriptors. When the tests have ended, or the time is over, everything that was started is killed.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from bench.machine.programs.confinement import Limits
from bench.machine.programs.objects import UnreadableValue
from bench.machine.programs.talking import Gone, receive, send
from bench.machine.programs.tester import PASSED, Job

_START_S = 60.0
_END_S = 30.0
_ROOT = Path(__file__).resolve().parents[3]


class NoJail(Exception):
    """The system has no jail for programs; what is missing is its message. No program has run."""


@dataclass(frozen=True)
class Execution:
    """What became of a program and its tests.

    Attributes:
        outcome: ``passed``; ``failed`` (an assertion of the tests does not hold); ``raised`` (an exception);
            ``timed_out``; ``memory``; ``syntax``; ``refused`` (it asked for what the jail has not); ``ended`` (the
            program ended before its tests did); ``unreadable`` (it answered with what is no value); ``bad_tests``.
        detail: the message, or what was found.
        seconds: of wall-clock time.
    """

    outcome: str
    detail: str
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether all tests passed."""
        return self.outcome == PASSED


class ProgramRunner:
    """Runs one program after the other; a context manager.

    Args:
        limits: of each.

    Raises:
        NoJail: when it is entered.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._printed: IO[bytes] | None = None
        self._control: socket.socket | None = None
        self._rest = b""

    def __enter__(self) -> ProgramRunner:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, program: str, tests: str, helpers: str = "", entry: tuple[str, ...] = ()) -> Execution:
        """Run a program and its tests.

        Args:
            program, tests, helpers, entry: as `Job` has them.

        Raises:
            NoJail: the system took back what it had.
        """
        began = time.monotonic()
        if self._process is None or self._process.poll() is not None:  # never, unless somebody else ends it
            self.close()
            self._start()
        mine, theirs = socket.socketpair()
        with mine:
            found = self._asked(mine, theirs, Job(program, tests, helpers, entry))
        self._end_run()
        if found["outcome"] == "no_jail":
            raise NoJail(found["detail"])
        return Execution(found["outcome"], found["detail"], time.monotonic() - began)

    def close(self) -> None:
        """End the server and all that it started, and remove its folder."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            try:
                self._process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._printed is not None:
            self._printed.close()
            self._printed = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _start(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="modelgate-programs-"))
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115  closed with the server
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        server = Path(__file__).with_name("server.py")
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(server), str(_ROOT), str(self._folder), str(theirs.fileno())],
                pass_fds=(theirs.fileno(),), env={"LANG": "C.UTF-8", "PATH": os.environ.get("PATH", "")},
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._printed,
            )  # fmt: skip
        self._control, self._rest = mine, b""
        said = self._hear(_START_S)
        missing = None if said is None else said.get("missing")
        if missing != {}:
            problem = self._problem(missing)
            self.close()
            raise NoJail(problem)

    def _problem(self, missing: dict[str, str] | None) -> str:
        if missing:
            return "; ".join(f"{name}: {found}" for name, found in missing.items())
        assert self._process is not None
        assert self._printed is not None
        self._process.kill()
        self._process.wait()
        self._printed.seek(0)
        last = self._printed.read().decode(errors="replace").strip().splitlines()[-1:]
        return f"its server does not start: {last[0] if last else 'nothing was printed'}"

    def _asked(self, mine: socket.socket, theirs: socket.socket, job: Job) -> dict[str, str]:
        assert self._control is not None
        with theirs:
            line = json.dumps({"limits": asdict(self.limits)}).encode()
            socket.send_fds(self._control, [line], [theirs.fileno()])
        mine.settimeout(self.limits.wall_s)
        deadline = time.monotonic() + self.limits.wall_s
        try:
            send(mine, asdict(job))
            mine.settimeout(max(deadline - time.monotonic(), 0.01))
            found = receive(mine)
        except Gone:
            if time.monotonic() >= deadline:
                return {"outcome": "timed_out", "detail": f"{self.limits.wall_s:g} s"}
            return {"outcome": "timed_out", "detail": "the tests used up their processor time or were killed"}
        except UnreadableValue as error:
            return {"outcome": "unreadable", "detail": f"{error}"}
        return {"outcome": str(found["outcome"]), "detail": str(found["detail"])}

    def _end_run(self) -> None:
        """Wait until nothing of the run is left; a server that does not say so is replaced."""
        assert self._control is not None
        with suppress(OSError):
            self._control.sendall(b"kill")
        said = self._hear(_END_S)
        if said != {"ended": True}:
            assert self._process is not None
            self._process.kill()
            self.close()

    def _hear(self, seconds: float) -> dict[str, Any] | None:
        assert self._control is not None
        deadline = time.monotonic() + seconds
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._control], [], [], max(deadline - time.monotonic(), 0))
            data = self._control.recv(65536) if ready else b""
            if not data:
                return None
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found
