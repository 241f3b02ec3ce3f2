"""The process in which the tests of a program run. The program is in another one and answers questions.

So a program can neither read what the tests expect, nor change what they compare with, nor say that they passed.
"""

from __future__ import annotations

import builtins
import errno
import linecache
import os
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.machine.programs.objects import UnreadableValue
from bench.machine.programs.talking import CALLS, Gone, Peer

PASSED = "passed"
_MOST_DETAIL = 500
_REFUSED = (errno.EPERM, errno.EACCES)
_TESTS = "<tests>"


@dataclass(frozen=True)
class Job:
    """A program and its tests.

    Attributes:
        program: its text.
        tests: their text.
        helpers: text of what the question itself defines; the tests use this, and not what the program makes of it.
        entry: names that the program is asked to define. Only these may take the place of Python's own names.
    """

    program: str
    tests: str
    helpers: str = ""
    entry: tuple[str, ...] = ()


class ProgramNames(dict[str, Any]):
    """The names that the tests see: their own, then Python's own, then the program's."""

    def __init__(self, look_up: Callable[[str], Any], entry: Iterable[str]) -> None:
        super().__init__()
        self._look_up, self._entry = look_up, frozenset(entry)

    def __missing__(self, name: str) -> Any:
        if name not in self._entry and hasattr(builtins, name):
            raise KeyError(name)
        return self._look_up(name)


def run(job: Job, connection: Any, has_ended: Callable[[], str | None]) -> dict[str, str]:
    """Run a program, and its tests against it.

    Args:
        job: both.
        connection: to the process of the program.
        has_ended: returns how that process has ended; None while it runs.

    Returns:
        ``outcome`` and ``detail``.
    """
    peer = Peer(connection, CALLS)
    try:
        tests = compile(job.tests, _TESTS, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        return _found("bad_tests", f"{error}")
    linecache.cache[_TESTS] = (len(job.tests), None, job.tests.splitlines(keepends=True), _TESTS)
    try:
        wrong = peer.ask("compile", job.program)
        if wrong is not None:
            return _found("syntax", f"{wrong}")
        peer.ask("execute")
        defined = frozenset(peer.ask("names"))

        def look_up(name: str) -> Any:
            if name not in defined and name not in peer.ask("names"):
                raise KeyError(name)
            return peer.ask("global", name)

        names = ProgramNames(look_up, job.entry)
        if job.helpers:
            exec(compile(job.helpers, "<question>", "exec", dont_inherit=True), names)
            for name in job.entry:
                names.pop(name, None)
        exec(tests, names)
    except Gone:
        return _of_end(has_ended)
    except BaseException as error:
        return _of_end(has_ended) if peer.is_lost and has_ended() else _of_error(error)
    # A test that catches everything may have caught that the program was gone.
    return _of_end(has_ended) if peer.is_lost else _found(PASSED, "")


def _of_error(error: BaseException) -> dict[str, str]:
    is_remote = getattr(error, "is_remote", False)
    if isinstance(error, UnreadableValue):
        return _found("unreadable", f"{error}")
    if isinstance(error, MemoryError):
        return _found("memory", "MemoryError")
    if isinstance(error, SystemExit):
        return _found("ended", f"SystemExit: {error}")
    if isinstance(error, OSError) and error.args[:1] and error.args[0] in _REFUSED:
        return _found("refused", _shown(error))
    if isinstance(error, AssertionError) and not is_remote:
        line = next(
            (
                one.line
                for one in reversed(traceback.extract_tb(error.__traceback__))
                if one.filename == _TESTS
            ),
            "",
        )
        return _found("failed", f"{error}" or f"{line}")
    return _found("raised", _shown(error))


def _of_end(has_ended: Callable[[], str | None]) -> dict[str, str]:
    """Return what became of a program whose process does not answer any more."""
    deadline = time.monotonic() + 0.5
    while (how := has_ended()) is None and time.monotonic() < deadline:
        time.sleep(0.001)
    if how == "time":
        return _found("timed_out", "processor time")
    return _found("ended", how or "it closed its channel to the tests")


def how_it_ended(pid: int) -> Callable[[], str | None]:
    """Return a function that says how a child has ended; None while it runs."""
    known: list[str] = []

    def ask() -> str | None:
        if not known:
            found, status, used = os.wait4(pid, os.WNOHANG)
            if found:
                known.append(_described(status, used.ru_utime + used.ru_stime))
        return known[0] if known else None

    return ask


def _described(status: int, seconds: float) -> str:
    import resource  # noqa: PLC0415
    import signal  # noqa: PLC0415

    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        limit = resource.getrlimit(resource.RLIMIT_CPU)[0]
        if number == signal.SIGXCPU or (number == signal.SIGKILL and seconds > limit - 0.2):
            return "time"
        return f"it was ended by {signal.Signals(number).name}"
    return f"it ended with the exit code {os.WEXITSTATUS(status)} before its tests did"


def _found(outcome: str, detail: str) -> dict[str, str]:
    return {"outcome": outcome, "detail": detail[:_MOST_DETAIL]}


def _shown(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__


def job_of(message: Mapping[str, Any]) -> Job:
    """Return the job of a message."""
    return Job(message["program"], message["tests"], message["helpers"], tuple(message["entry"]))
