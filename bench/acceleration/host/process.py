"""The evaluator's side of an arm: start it, ask it, time it, pause it, and end it with all it started."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from bench.acceleration.host import failures, usage
from bench.acceleration.host.channel import Channel, Supervision
from bench.acceleration.host.failures import Failure
from bench.acceleration.host.output import OutputLog
from bench.acceleration.host.process_tree import allowed_processors, kill_tree, resume_tree, stop_tree
from bench.acceleration.protocol import wire
from bench.core.errors import ArmProblem
from bench.core.record import Json

_START_S = 120.0
_END_S = 10.0
# How long to wait, after a channel was closed, for the server to say that the process has ended. Only a process that
# closed its channel and lives on takes as long as this.
_LAST_WORD_S = 2.0
_POLL_S = 0.25
# A flood is read faster, so that its limit is reached soon.
_FLOOD_POLL_S = 0.01
_FLOOD_BYTES = 64 * 2**10
# faulthandler writes the stack of a process that hangs within this.
_ABORT_S = 1.0


@dataclass(frozen=True)
class ArmLimits:
    """What one arm may use.

    Attributes:
        load_timeout_s: seconds to load, and to make the first call, in which compilers run.
        round_timeout_s: seconds for one batch afterwards.
        memory_bytes: address space beyond what the fork server maps; None for no limit.
        output_bytes: bytes on stdout and stderr together.
        disk_bytes: what its private directory may hold; None for no limit.
    """

    load_timeout_s: float = 300.0
    round_timeout_s: float = 300.0
    memory_bytes: int | None = None
    output_bytes: int = 8 * 2**20
    disk_bytes: int | None = None


@dataclass(frozen=True)
class ArmSpace:
    """Where one arm runs.

    Attributes:
        directory: private working directory, which exists.
        log: file that takes its stdout and stderr.
        environment: everything the arm sees of the environment.
        cpus: logical processors to which it is pinned.
        threads: compute threads.
        jail: what the jail that it enters allows; None for none.
        has_own_home: whether home and temporary folder are the private directory.
    """

    directory: Path
    log: Path
    environment: dict[str, str]
    cpus: tuple[int, ...]
    threads: int
    jail: Json | None = None
    has_own_home: bool = True


class ArmProcess:
    """A running arm. A context manager: leaving it kills the process and all it started.

    Args:
        server: address of the fork server.
        role: ``target``, ``baseline``, ``candidate`` or ``scorer``, for messages.
        space: where it runs.
        limits: what it may use.

    Attributes:
        threads: compute threads that it was started with.
        jail: ``layers`` of its jail that are in force, and those ``missing``; empty without a jail.

    Raises:
        ArmProblem: when the process cannot be started.
    """

    def __init__(self, server: str, *, role: str, space: ArmSpace, limits: ArmLimits) -> None:
        self.role = role
        self.threads = space.threads
        self.pid = 0
        self._limits = limits
        self._cpus = space.cpus
        self._stopped = False
        self._directory = space.directory
        self._used: usage.Used | None = None  # when it was stopped
        self._output = OutputLog(space.log, limits.output_bytes)
        self._supervision = Supervision()
        ours, theirs = socket.socketpair()
        self._channel = Channel(fileno=ours.detach())
        specification = {
            "kind": "scorer" if role == "scorer" else "arm",
            "directory": str(space.directory),
            "environment": space.environment,
            "cpus": list(space.cpus),
            "threads": space.threads,
            "has_own_home": space.has_own_home,
            "memory_bytes": limits.memory_bytes,
            "disk_bytes": limits.disk_bytes,
            "jail": space.jail,
        }
        self.jail: Json = {}
        try:
            with theirs:
                descriptors = [theirs.fileno(), self._output.write_end]
                self.pid = self._supervision.request(server, specification, descriptors, _START_S)
            self._output.hand_over()
            hello, _ = self._receive("start", _START_S, "--load-timeout")
            self.jail = hello.get("jail") or {}
        except OSError as error:
            self.close()
            raise self._problem(failures.not_started(error)) from error
        except BaseException:
            self.close()
            raise

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
        """Kill the process and everything it started, and wait until all of it is gone; safe to call twice."""
        self._supervision.end(_END_S)
        if self.pid and self._supervision.status is None:
            # The server is dead, or waits for a process that the kernel does not let go.
            kill_tree(self.pid)
            self.pid = 0
        self._channel.close()
        self._output.close()

    def is_alive(self) -> bool:
        """Whether the process still runs and has not been closed from here."""
        return self.pid > 0 and not self._supervision.wait(0)

    def pause(self) -> None:
        """Stop the process and all it started, so that none of it computes while another arm is timed."""
        if not self._stopped and self.is_alive():
            stop_tree(self.pid)
            self._used = usage.settled(self.pid)
            self._stopped = True

    def resume(self) -> None:
        """Let the process and all it started run again.

        Raises:
            ArmProblem: when it has computed although it was stopped: the other arm was slowed by that.
        """
        if self._stopped and self.is_alive():
            found = self._used and usage.used_meanwhile(self.pid, self._used)
            if found:
                raise self._fail(failures.out_of_turn(*found))
            resume_tree(self.pid)
        self._stopped = False

    def place(self, cpus: tuple[int, ...]) -> None:
        """Move a process of the suite's own (the scorer) to other cores."""
        self._cpus = cpus
        with suppress(OSError):
            for task in Path(f"/proc/{self.pid}/task").iterdir():
                with suppress(OSError):
                    os.sched_setaffinity(int(task.name), cpus)

    def ask(
        self, request: Json, payload: bytes = b"", *, timeout_s: float | None = None
    ) -> tuple[Json, bytes, float]:
        """Send a request and return ``(header, payload, seconds)``.

        The seconds run from before the request is sent until the whole answer is held here, by this
        process' clock. The answer must carry the request's random number, so one prepared beforehand is
        not taken.

        Raises:
            ArmProblem: when the arm raised, died, hung, or flooded its output.
        """
        operation = request["op"]
        limit_s, option = self._limits.round_timeout_s, "--round-timeout"
        if timeout_s is not None:
            limit_s, option = timeout_s, "--load-timeout"
        nonce = secrets.token_hex(8)
        self.resume()
        self._channel.deadline = time.monotonic() + limit_s
        start = time.perf_counter()
        try:
            wire.send(self._channel, {**request, "nonce": nonce}, payload)
        except TimeoutError:
            raise self._fail(failures.timed_out(operation, limit_s, option)) from None
        except OSError:
            raise self._death(operation) from None
        header, answer = self._receive(operation, limit_s, option)
        seconds = time.perf_counter() - start
        self._check_output(operation)
        if header.get("nonce") != nonce:
            raise self._fail(failures.broken_answer(operation, "an answer without the request's number"))
        if not header.get("ok"):
            self._check_usage(operation)  # what it raised may be that the kernel gave it no further process
            failure = failures.raised(
                operation, header.get("error"), self._limits.memory_bytes, self._own_disk_bytes,
                has_room=usage.has_room(self._directory),
            )  # fmt: skip
            raise self._problem(failure)
        self._check_usage(operation)
        elsewhere = allowed_processors(self.pid) - set(self._cpus)
        if elsewhere:
            raise self._fail(failures.left_its_processors(operation, elsewhere, self._cpus))
        return header, answer, seconds

    def _receive(self, operation: str, limit_s: float, option: str) -> tuple[Json, bytes]:
        self._channel.deadline = deadline = time.monotonic() + limit_s
        pause_s = _POLL_S
        while not self._channel.is_ready(min(pause_s, deadline - time.monotonic())):
            pause_s = _FLOOD_POLL_S if self._check_output(operation) >= _FLOOD_BYTES else _POLL_S
            self._check_usage(operation)
            if time.monotonic() >= deadline:
                raise self._hang(failures.timed_out(operation, limit_s, option))
        try:
            return wire.receive(self._channel)
        except TimeoutError:
            raise self._hang(failures.timed_out(operation, limit_s, option)) from None
        except wire.WireError as error:
            if self._channel.is_hung_up():  # half a message is what a process leaves that dies while it sends
                raise self._death(operation) from None
            raise self._fail(failures.broken_answer(operation, error)) from None
        except (EOFError, OSError):
            raise self._death(operation) from None

    def _check_output(self, operation: str) -> int:
        taken = self._output.drain()
        if self._output.is_flooded:
            raise self._fail(failures.flooded(operation, self._limits.output_bytes))
        return taken

    @property
    def _own_disk_bytes(self) -> int | None:
        """The size of its directory where that is a disk of its own, which the kernel keeps it from filling further."""
        return self._limits.disk_bytes if "namespaces" in self.jail.get("layers", ()) else None

    def _check_usage(self, operation: str) -> None:
        """End an arm that has started too many processes, or written too much where the kernel does not limit that."""
        tasks = usage.tasks_of(self.pid)
        if tasks > usage.MAX_TASKS:
            raise self._fail(failures.too_many_tasks(operation, tasks, usage.MAX_TASKS))
        limit = self._limits.disk_bytes
        if limit is None or self._own_disk_bytes is not None:
            return
        if usage.bytes_below(self._directory, limit) > limit:
            raise self._fail(failures.over_disk(operation, limit))

    def _hang(self, failure: Failure) -> ArmProblem:
        # The interpreter writes the stack of a process that aborts into the log: the line that hangs.
        if self.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGABRT)
            self._supervision.wait(_ABORT_S)
        return self._fail(failure)

    def _death(self, operation: str) -> ArmProblem:
        # A closed channel does not mean an ended process: a file may close descriptors that it did not open.
        was_alive = not self._supervision.wait(_LAST_WORD_S)
        self.close()
        status = self._supervision.status
        if (
            was_alive
            and status is not None
            and os.WIFSIGNALED(status)
            and os.WTERMSIG(status) == signal.SIGKILL
        ):
            return self._problem(failures.closed_channel(operation))
        return self._problem(
            failures.ended(operation, status, self._output.text(), self._limits.memory_bytes)
        )

    def _fail(self, failure: Failure) -> ArmProblem:
        self.close()
        return self._problem(failure)

    def _problem(self, failure: Failure) -> ArmProblem:
        tail = "\n".join(part for part in (failure.traceback, self._output.tail()) if part)
        return ArmProblem(
            failure.reason_code,
            f"the {self.role} {failure.message}",
            role=self.role,
            output_tail=tail,
            is_of_file=failure.is_of_file,
            is_of_prompts=failure.is_of_prompts,
            sample=failure.index,
        )
