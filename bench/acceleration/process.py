"""The evaluator's side of an arm: start it, ask it, time it, stop it, and say why it died."""

from __future__ import annotations

import json
import os
import secrets
import select
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from bench.acceleration import wire
from bench.acceleration.forkserver import kill_session
from bench.errors import ArmProblem

TAIL_LINES = 15
TAIL_BYTES = 4000
_POLL_S = 0.25
_END_S = 10.0
_START_S = 120.0

_OUT_OF_MEMORY_SIGNS = (
    "MemoryError", "bad_alloc", "can't allocate memory", "Cannot allocate memory", "not enough memory",
    "OutOfMemoryError", "out of memory",
)  # fmt: skip


@dataclass(frozen=True)
class ArmLimits:
    """What one arm may use.

    Attributes:
        load_timeout_s: seconds to load, and to make the first call, in which compilers run.
        round_timeout_s: seconds for one batch afterwards.
        memory_bytes: address space beyond what the fork server maps; None for no limit.
        output_bytes: bytes on stdout and stderr together.
    """

    load_timeout_s: float = 300.0
    round_timeout_s: float = 300.0
    memory_bytes: int | None = None
    output_bytes: int = 8 * 2**20


@dataclass(frozen=True)
class ArmSpace:
    """Where one arm runs.

    Attributes:
        directory: private working directory, which exists.
        log: file that takes its stdout and stderr.
        environment: everything the arm sees of the environment.
        cpus: logical processors to which it is pinned.
        threads: compute threads.
    """

    directory: Path
    log: Path
    environment: dict[str, str]
    cpus: tuple[int, ...]
    threads: int


class ArmProcess:
    """A running arm. A context manager: leaving it kills the process and all it started.

    Args:
        server: address of the fork server.
        role: ``target``, ``baseline``, ``candidate`` or ``scorer``, for messages.
        space: where it runs.
        limits: what it may use.

    Raises:
        ArmProblem: when the process cannot be started.
    """

    def __init__(self, server: str, *, role: str, space: ArmSpace, limits: ArmLimits) -> None:
        self.role = role
        self._log = space.log
        self._limits = limits
        self._stopped = False
        self._control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._control.connect(server)
        self._channel, theirs = socket.socketpair()
        specification = {
            "kind": "scorer" if role == "scorer" else "arm",
            "directory": str(space.directory),
            "environment": space.environment,
            "cpus": list(space.cpus),
            "threads": space.threads,
            "memory_bytes": limits.memory_bytes,
        }
        log = os.open(space.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            socket.send_fds(self._control, [json.dumps(specification).encode()], [theirs.fileno(), log])
        finally:
            theirs.close()
            os.close(log)
        self._answers = b""
        started = self._control_message(_START_S)
        if started is None:
            raise ArmProblem(
                "internal_error",
                f"the fork server did not start the {role}; see logs/forkserver.log",
                role=role,
            )
        self.pid = int(started["pid"])
        self._receive("start", _START_S)

    def __enter__(self) -> ArmProcess:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill the process and everything it started."""
        self.close()

    def close(self) -> None:
        """Kill the process group; safe to call twice."""
        kill_session(self.pid)
        self._channel.close()
        self._control.close()

    def is_alive(self) -> bool:
        """Whether the process still exists and has not been closed from here."""
        return self._channel.fileno() >= 0 and Path(f"/proc/{self.pid}/stat").exists()

    def pause(self) -> None:
        """Stop the whole process group, so that nothing of it computes while another arm is timed."""
        if not self._stopped:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGSTOP)
            self._stopped = True

    def resume(self) -> None:
        """Let the process group run again."""
        if self._stopped:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGCONT)
            self._stopped = False

    def place(self, cpus: tuple[int, ...]) -> None:
        """Move a process of the suite's own (the scorer) to other cores."""
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            with suppress(OSError):
                os.sched_setaffinity(int(task.name), cpus)

    def ask(
        self, request: dict, payload: bytes = b"", *, timeout_s: float | None = None
    ) -> tuple[dict, bytes, float]:
        """Send a request and return ``(header, payload, seconds)``.

        The seconds run from before the request is sent until the whole answer is held here, by this
        process' clock. The answer must carry the request's random number, so one prepared beforehand is
        not taken.

        Raises:
            ArmProblem: when the arm raised, died, hung, or flooded its output.
        """
        limit = timeout_s if timeout_s is not None else self._limits.round_timeout_s
        nonce = secrets.token_hex(8)
        self.resume()
        start = time.perf_counter()
        try:
            wire.send(self._channel, {**request, "nonce": nonce}, payload)
        except OSError:
            raise self._death(request["op"]) from None
        header, answer = self._receive(request["op"], limit)
        seconds = time.perf_counter() - start
        if header.get("nonce") != nonce:
            raise self._problem(
                "crashed", "sent an answer that belongs to no request; it tampers with the channel"
            )
        if not header.get("ok"):
            raise self._raised(request["op"], header.get("error") or {})
        return header, answer, seconds

    def _receive(self, operation: str, limit_s: float) -> tuple[dict, bytes]:
        deadline = time.monotonic() + limit_s
        poller = select.poll()
        poller.register(self._channel, select.POLLIN | select.POLLHUP)
        while not poller.poll(1000 * max(0.0, min(_POLL_S, deadline - time.monotonic()))):
            if self._log.stat().st_size > self._limits.output_bytes:
                self.close()
                raise self._problem(
                    "output_flood",
                    f"printed more than {self._limits.output_bytes / 2**20:.0f} MB during {operation}; "
                    "print less, or raise --output-limit",
                )
            if time.monotonic() >= deadline:
                self.close()
                raise self._timed_out(operation, limit_s)
        self._channel.settimeout(max(1.0, deadline - time.monotonic()))
        try:
            return wire.receive(self._channel)
        except TimeoutError:
            self.close()
            raise self._timed_out(operation, limit_s) from None
        except (EOFError, OSError, wire.WireError):
            raise self._death(operation) from None

    def _timed_out(self, operation: str, limit_s: float) -> ArmProblem:
        option = "--round-timeout" if operation == "generate" else "--load-timeout"
        return self._problem(
            "timed_out",
            f"did not finish {operation} within {limit_s:g} s and was killed; make it faster or raise {option}",
        )

    def _raised(self, operation: str, error: dict) -> ArmProblem:
        message = f"{error.get('type')}: {error.get('message')}".strip()
        if error.get("is_exit"):
            return self._problem("crashed", f"called sys.exit({error.get('message')}) during {operation}")
        if any(sign in message for sign in _OUT_OF_MEMORY_SIGNS):
            return self._problem("out_of_memory", f"{self._memory_limit()} during {operation} ({message})")
        code = "load_failed" if operation == "load" else "generation_failed"
        if error.get("is_usage"):
            return self._problem(code, str(error.get("message")))
        return self._problem(code, f"raised during {operation}: {message}", extra=error.get("traceback", ""))

    def _death(self, operation: str) -> ArmProblem:
        # A closed channel does not yet mean a dead process: a file may close descriptors it does not own.
        status = self._status(1.0)
        kill_session(self.pid)
        if status is None:
            status = self._status(_END_S)
            self.close()
            if status is not None:
                return self._problem("crashed", f"closed its channel to the evaluator during {operation}")
        tail = self._tail()
        if any(sign in tail for sign in _OUT_OF_MEMORY_SIGNS):
            return self._problem("out_of_memory", f"{self._memory_limit()} during {operation}")
        if status is None:
            how = "ended in an unknown way; the fork server that would know is gone"
        elif os.WIFSIGNALED(status):
            name = signal.Signals(os.WTERMSIG(status)).name
            how = f"was ended by signal {os.WTERMSIG(status)} ({name})"
            if name == "SIGKILL":
                how += ", perhaps by the kernel because the machine is out of memory"
        else:
            how = f"ended by itself with exit code {os.WEXITSTATUS(status)}"
        return self._problem("crashed", f"{how} during {operation}")

    def _status(self, timeout_s: float) -> int | None:
        message = self._control_message(timeout_s)
        return None if message is None else int(message["status"])

    def _control_message(self, timeout_s: float) -> dict | None:
        self._control.settimeout(timeout_s)
        with suppress(OSError):
            while b"\n" not in self._answers:
                received = self._control.recv(4096)
                if not received:
                    return None
                self._answers += received
            line, _, self._answers = self._answers.partition(b"\n")
            message: dict = json.loads(line)
            return message
        return None

    def _memory_limit(self) -> str:
        limit = self._limits.memory_bytes
        allowed = f"its limit of {limit / 2**30:.1f} GB" if limit else "the memory of the device"
        return f"asked for more than {allowed}; raise --memory-limit if the pipeline needs it,"

    def _problem(self, code: str, message: str, *, extra: str = "") -> ArmProblem:
        tail = "\n".join(part for part in (extra.strip(), self._tail()) if part)
        return ArmProblem(code, f"the {self.role} {message}", role=self.role, output_tail=tail)

    def _tail(self) -> str:
        with suppress(OSError), open(self._log, "rb") as log:
            log.seek(max(0, self._log.stat().st_size - TAIL_BYTES))
            text = log.read().decode("utf-8", "replace")
            return "\n".join(text.replace("\r", "\n").splitlines()[-TAIL_LINES:])
        return ""
