"""The fork server: one process with torch and diffusers imported, from which every arm is forked.

Started as ``python -m bench.acceleration.forkserver SOCKET``. multiprocessing's fork server belongs to
one parent; this one is shared by all workers of a run, so that the slow imports (about 8 s and half a
gigabyte) are paid once. It also owns what an arm leaves behind: it is the reaper of every descendant,
reports how each arm ended, and kills an arm's whole session when the arm or its evaluator is gone.

One connection is one arm. The evaluator sends the specification as JSON together with two file
descriptors, the arm's channel and its log; the server answers ``{"pid": ...}`` and, when the process
has ended, ``{"status": ...}`` as ``os.waitpid`` gives it.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import selectors
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
READY = "ready"


def preload() -> None:
    """Import what arms and scorers need; heavy on purpose, and without starting a thread pool."""
    from bench.torchvision_shim import ensure_torchvision  # noqa: PLC0415

    ensure_torchvision()
    import diffusers  # noqa: PLC0415
    import numpy  # noqa: F401, PLC0415
    import open_clip  # noqa: F401, PLC0415
    import PIL.Image  # noqa: F401, PLC0415
    import transformers  # noqa: F401, PLC0415
    from transformers import CLIPTextModel, CLIPTokenizer  # noqa: F401, PLC0415

    # diffusers imports lazily; naming a class imports its module.
    for name in (
        "AutoencoderKL",
        "StableDiffusionPipeline",
        "UNet2DConditionModel",
        "DDIMScheduler",
        "DPMSolverMultistepScheduler",
        "PNDMScheduler",
        "UniPCMultistepScheduler",
    ):
        getattr(diffusers, name)


def set_process_option(option: int, value: int) -> None:
    """Call Linux' ``prctl``; a failure only means that a safety net is missing."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


@dataclass
class ForkServer:
    """Accepts specifications, forks arms, reports their ends.

    Attributes:
        arms: connection of each running arm by its process id.
    """

    listener: socket.socket
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    arms: dict[int, socket.socket] = field(default_factory=dict)

    def serve(self) -> None:
        """Serve until the parent process dies or the server gets SIGTERM."""
        wake_read, wake_write = socket.socketpair()
        wake_write.setblocking(False)
        signal.set_wakeup_fd(wake_write.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._stop)
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(wake_read, selectors.EVENT_READ)
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.listener:
                    connection, _ = self.listener.accept()
                    self.selector.register(connection, selectors.EVENT_READ)
                elif key.fileobj is wake_read:
                    wake_read.recv(4096)
                else:
                    self._receive(key.fileobj)  # type: ignore[arg-type]
            self._reap()

    def _receive(self, connection: socket.socket) -> None:
        try:
            text, descriptors, _, _ = socket.recv_fds(connection, 65536, 2)
        except OSError:
            text, descriptors = b"", []
        if not text:  # the evaluator has closed, or died
            for pid in [pid for pid, owner in self.arms.items() if owner is connection]:
                kill_session(pid)
            self._forget(connection)
            return
        pid = self._fork(json.loads(text), descriptors)
        self.arms[pid] = connection
        for descriptor in descriptors:
            os.close(descriptor)
        self._tell(connection, {"pid": pid})

    def _fork(self, specification: dict, descriptors: list[int]) -> int:
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._close_inherited()
            from bench.acceleration import arm  # noqa: PLC0415

            arm.main(specification, *descriptors)
            status = 0
        except SystemExit as ending:
            status = ending.code if isinstance(ending.code, int) else 1
        finally:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _close_inherited(self) -> None:
        self.selector.close()
        self.listener.close()
        for connection in set(self.arms.values()):
            connection.close()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            connection = self.arms.pop(pid, None)
            if connection is not None:
                kill_session(pid)
                self._tell(connection, {"status": status})
        # Whatever an arm daemonised has become our child: it belongs to no arm and must not compute on.
        for stray in children(os.getpid()) - self.arms.keys():
            with suppress(ProcessLookupError):
                os.kill(stray, signal.SIGKILL)

    def _tell(self, connection: socket.socket, message: dict) -> None:
        with suppress(OSError):
            connection.sendall(json.dumps(message).encode() + b"\n")

    def _forget(self, connection: socket.socket) -> None:
        self.selector.unregister(connection)
        connection.close()

    def _stop(self, *_: object) -> None:
        for pid in self.arms:
            kill_session(pid)
        os._exit(0)


def kill_session(pid: int) -> None:
    """Kill a process and all of its process group; both may be gone already."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def children(pid: int) -> set[int]:
    """Return the process ids of all direct children, from ``/proc``."""
    found: set[int] = set()
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found.update(int(child) for child in (task / "children").read_text().split())
    return found


def main(address: str) -> None:
    """Bind, preload, say that all is ready, serve."""
    set_process_option(PR_SET_PDEATHSIG, signal.SIGTERM)
    set_process_option(PR_SET_CHILD_SUBREAPER, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(address)
    listener.listen(128)
    preload()
    # Frozen objects are never visited by a child's collector, so their pages stay shared.
    gc.collect()
    gc.freeze()
    print(READY, flush=True)
    ForkServer(listener).serve()


if __name__ == "__main__":
    main(sys.argv[1])
