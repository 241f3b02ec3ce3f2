"""The process from which programs and their tests are forked: it has the standard library loaded and never sees a program.

Started as ``python -I -S server.py ROOT FOLDER``: ROOT is where ``bench`` is, FOLDER is private and becomes the programs'
scratch. Each request is a line of JSON with the limits and one descriptor, the channel of the tests. The answers are lines:
which parts of the jail are missing (first of all), and that a run and all that was left of it has ended.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import sys
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

_MODULES = (
    "array", "bisect", "cmath", "collections", "collections.abc", "contextlib", "copy", "dataclasses", "datetime", "decimal",
    "enum", "fractions", "functools", "hashlib", "heapq", "itertools", "json", "linecache", "math", "numbers", "operator",
    "queue", "random", "re", "statistics", "string", "struct", "sys", "textwrap", "time", "traceback", "types", "typing",
    "unicodedata",
)  # fmt: skip
_NO_SUID, _NO_DEVICES, _DETACH = 2, 4, 2
_MOST_FILES = 1000
_CHILDREN = Path("/proc/thread-self/children")
_COVERED = ("/run", "/tmp", "/var/tmp", "/dev/shm")


class Server:
    """Forks the processes of one run after the other.

    Args:
        control: to the runner.
        folder: private.
    """

    def __init__(self, control: socket.socket, folder: Path) -> None:
        self._control, self._scratch = control, folder / "scratch"
        self._has_namespaces = False

    def serve(self) -> None:
        """Serve until the runner is gone."""
        self._scratch.mkdir(exist_ok=True)
        self._tell({"missing": self._prepare()})
        while True:
            line, descriptors, _, _ = socket.recv_fds(self._control, 65536, 1)
            if not line:
                return
            if descriptors:  # "kill" for what has ended already comes without one
                self._run(json.loads(line), descriptors[0])

    def _prepare(self) -> dict[str, str]:
        """Leave the network, and try the jail once; return what is missing of it."""
        from bench.machine import namespaces  # noqa: PLC0415  found only once its place is known

        with suppress(OSError):
            covered = tuple(os.path.realpath(place) for place in _COVERED)
            kept = (os.path.realpath(self._scratch.parent),)
            namespaces.leave(namespaces.Own(2**16, covered, kept))
            self._has_namespaces = True
        mine, theirs = socket.socketpair()
        if not os.fork():
            mine.close()
            self._try(theirs)
        theirs.close()
        with mine:
            said = mine.recv(65536)
        self._clear()
        found: dict[str, str] = json.loads(said) if said else {"calls": "the process died when it tried"}
        if not _CHILDREN.exists():
            found["processes"] = "the kernel does not say which processes were started"
        return found

    def _try(self, connection: socket.socket) -> NoReturn:
        from bench.machine.programs.confinement import Limits, confine  # noqa: PLC0415  as above

        connection.sendall(json.dumps(dict(confine(self._scratch, Limits()))).encode())
        os._exit(0)

    def _run(self, asked: dict[str, Any], channel: int) -> None:
        self._mount(int(asked["limits"]["scratch_bytes"]))
        pid = os.fork()
        if not pid:
            self._become_tests(asked, channel)
        os.close(channel)
        watch = os.pidfd_open(pid)
        ready, _, _ = select.select([watch, self._control.fileno()], [], [])
        if watch not in ready:
            with suppress(OSError):
                self._control.recv(65536)  # "kill", or nobody is there any more
        os.close(watch)
        self._clear()
        self._unmount()
        self._tell({"ended": True})

    def _become_tests(self, asked: dict[str, Any], channel: int) -> NoReturn:
        from bench.machine.programs import candidate, talking, tester  # noqa: PLC0415  as above
        from bench.machine.programs.confinement import Limits, confine  # noqa: PLC0415

        status = 1
        try:
            os.setsid()
            limits = Limits(**asked["limits"])
            tests, program = socket.socketpair()
            pid = os.fork()
            own = (program if not pid else tests).fileno()
            _close_all_but({own} if not pid else {own, channel})
            missing = confine(self._scratch, limits)
            if not pid:
                if missing:
                    os._exit(1)
                candidate.run(program)
            control = socket.socket(fileno=channel)
            if missing:
                talking.send(control, {"outcome": "no_jail", "detail": json.dumps(dict(missing))})
            else:
                job = tester.job_of(talking.receive(control))
                talking.send(control, tester.run(job, tests, tester.how_it_ended(pid)))
            status = 0
        finally:
            os._exit(status)

    def _clear(self) -> None:
        """Kill everything that was started: the server adopts what its children leave behind."""
        while True:
            listed = _CHILDREN.read_text().split() if _CHILDREN.exists() else []
            for pid in map(int, listed):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return

    def _mount(self, size: int) -> None:
        if self._has_namespaces:
            options = f"size={size},nr_inodes={_MOST_FILES},mode=700".encode()
            flags = ctypes.c_ulong(_NO_SUID | _NO_DEVICES)
            if (
                ctypes.CDLL(None).mount(b"programs", str(self._scratch).encode(), b"tmpfs", flags, options)
                == 0
            ):
                return
            self._has_namespaces = False

    def _unmount(self) -> None:
        if self._has_namespaces:
            ctypes.CDLL(None).umount2(str(self._scratch).encode(), _DETACH)
            return
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir(exist_ok=True)

    def _tell(self, message: dict[str, Any]) -> None:
        with suppress(OSError):
            self._control.sendall(json.dumps(message).encode() + b"\n")


def _close_all_but(kept: set[int]) -> None:
    """Close all descriptors but some; the standard streams go nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    bounds = [2, *sorted(kept), os.sysconf("SC_OPEN_MAX")]
    for before, after in pairwise(bounds):
        os.closerange(before + 1, after)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  for as long as the process lives
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def main(root: str, folder: str, descriptor: int) -> None:
    """Load what programs import, and serve.

    Args:
        root: where ``bench`` is.
        folder: private.
        descriptor: of the channel to the runner.
    """
    sys.path.insert(0, root)
    try:
        from bench.machine.prctl import PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG, set_process_option  # noqa: PLC0415
        from bench.machine.programs import candidate, confinement, tester  # noqa: F401, PLC0415
    finally:
        sys.path.remove(root)
    for name in _MODULES:
        importlib.import_module(name)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the runner decides when it ends
    set_process_option(PR_SET_PDEATHSIG, signal.SIGKILL)
    set_process_option(PR_SET_CHILD_SUBREAPER, 1)
    gc.collect()
    gc.freeze()
    confinement.readable()
    control = socket.socket(fileno=descriptor)
    Server(control, Path(folder)).serve()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
