"""Linux' PID namespaces: processes that see and signal no other ones, and that all end when their first one does.

The first process of a namespace is no arm: the kernel keeps signals from it that end any other one, and gives it every
orphan. It is a program that waits for the end of a pipe and does nothing else, so it also ends when its maker does, and
with it all others of the namespace, in one step of the kernel: no process can be started faster than that.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.machine import namespaces
from bench.machine.kernel import checked, libc

_NEW_PID = 0x20000000
_MOST = "/proc/sys/kernel/pid_max"
_LIMITED_SINCE = (6, 14)
_RESERVED = 300  # numbers that are given once
_TRIED = 30_000
_PROGRAM, _PATH = "cat", "/bin:/usr/bin"
# What a system has below /proc of its own, and what a second /proc would show as it is.
_USUAL_BELOW_PROC = ("/proc/sys/fs/binfmt_misc",)


@dataclass
class First:
    """The first process of a namespace.

    Attributes:
        pid: of it, as its maker sees it.
        namespace: descriptor of its namespace.
        pipe: descriptor whose end it waits for.
    """

    pid: int
    namespace: int
    pipe: int

    def end(self) -> None:
        """End it, and with it all processes of its namespace. Its maker has to wait for it; not after that has been done."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Close the descriptors; safe to call twice."""
        for descriptor in (self.namespace, self.pipe):
            if descriptor >= 0:
                os.close(descriptor)
        self.namespace = self.pipe = -1


def start_first() -> First:
    """Start the first process of a namespace; this process stays in its own. Its descriptors must not be inheritable.

    Raises:
        OSError: the kernel refuses, as it does to a user who is not root, or the system lacks the program.
    """
    program = shutil.which(_PROGRAM, path=_PATH)
    if program is None:
        raise FileNotFoundError(2, f"no {_PROGRAM} in {_PATH}")
    here = _own()
    reading, writing = os.pipe()
    try:
        checked(libc().unshare(_NEW_PID))
        try:
            actions = [
                (os.POSIX_SPAWN_DUP2, reading, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ]
            pid = os.posix_spawn(program, [program], {}, file_actions=actions, setsigmask=())
        finally:
            checked(libc().setns(here, _NEW_PID))
        namespace = os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    except BaseException:
        os.close(writing)
        raise
    finally:
        os.close(reading)
        os.close(here)
    return First(pid, namespace, writing)


def fork_into(first: First) -> int:
    """Fork into a namespace; return as ``os.fork`` does, with the number that the caller sees.

    Raises:
        OSError: the kernel refuses; nothing was forked then.
    """
    here = _own()
    checked(libc().setns(first.namespace, _NEW_PID))
    child = -1
    try:
        child = os.fork()
    finally:
        if child:  # the new process could not go back, and need not
            checked(libc().setns(here, _NEW_PID))
            os.close(here)
    return child


def limit(tasks: int) -> bool:
    """Limit processes and threads of this process' own namespace, with a ``/proc`` of its own; root has no other limit.

    The kernel gives no number above the limit, and begins again at 300 once it is reached.

    Returns:
        Whether there is a limit now; before Linux 6.14 it would be one of the whole machine.
    """
    if not _limits_namespaces():
        return False
    written = os.open(_MOST, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(written, b"%d" % (tasks + _RESERVED))
    finally:
        os.close(written)
    return True


@cache
def _limits_namespaces() -> bool:
    found = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return found is not None and (int(found[1]), int(found[2])) >= _LIMITED_SINCE


def refusal() -> str | None:
    """Return why this process cannot fork into namespaces of processes; None where it can. It tries, in other processes."""
    if not namespaces.may_administer():
        return "only root can make a PID namespace without a second fork"
    over = [place for place in _mounted_below_proc() if place not in _USUAL_BELOW_PROC]
    if over:
        return f"{over[0]} is a mount, which a /proc of its own would not have"
    try:
        first = start_first()
        try:
            return _tried(first)
        finally:
            first.end()
            first.close()
            os.waitpid(first.pid, 0)
    except OSError as error:
        return error.strerror or str(error)


def _tried(first: First) -> str | None:
    most = Path(_MOST).read_text(encoding="ascii")
    _limits_namespaces()  # asked once for all forks
    child = fork_into(first)
    if not child:
        status = 1
        try:
            namespaces.leave(namespaces.Own(2**20))
            namespaces.mount_processes()
            limit(_TRIED)
            status = int(os.readlink("/proc/self") != str(os.getpid()))
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1]:
        return "a /proc of its own cannot be mounted"
    if Path(_MOST).read_text(encoding="ascii") != most:
        Path(_MOST).write_text(most, encoding="ascii")
        return "the kernel takes a limit of a namespace for one of the machine"
    return None


def _own() -> int:
    return os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)


def _mounted_below_proc() -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    places = [line.split()[4] for line in lines]
    return [place for place in places if place.startswith("/proc/")]
