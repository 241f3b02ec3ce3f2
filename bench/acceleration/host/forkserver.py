"""The fork server: one process with torch and diffusers imported, from which every arm is forked.

Started as ``python -m bench.acceleration.host.forkserver SOCKET [USER_DIR ...]``. The fork server of multiprocessing
belongs to one parent. This one is shared by all workers of a run, so that the slow imports (about 8 s and half a
gigabyte) happen once. It also owns what an arm leaves behind: it reaps every descendant, reports how each arm ended,
and kills an arm with all it started when the arm or its evaluator is gone.

One connection is one arm. The evaluator sends the specification as one line of JSON together with two
file descriptors, the arm's channel and its output; the server answers ``{"pid": ...}`` or
``{"error": ...}`` and, when the process has ended, ``{"status": ...}`` as ``os.waitpid`` gives it. The
evaluator shuts down its side to have the arm killed; the server closes when nothing of it is left.
Evaluators belong to the suite. Still, no client can stop the server from serving the others.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import signal
import socket
import struct
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from bench.acceleration.arm import serve
from bench.acceleration.host.preload import preload
from bench.acceleration.host.process_tree import children, kill_tree, tree
from bench.acceleration.protocol.wire import READY
from bench.core.errors import ModelgateError
from bench.core.record import Json
from bench.machine.jail import Jail
from bench.machine.prctl import PR_SET_CHILD_SUBREAPER, forbid_core_dumps, set_process_option
from bench.machine.process_numbers import First
from bench.machine.spare import Spare, make_spare, prepare
from bench.run.user_code import import_user_code

MAX_SPECIFICATION_BYTES = 2**20
# How often the server looks for what no signal tells: a parent that died, a stray that became its child.
_LOOK_S = 1.0
_END_S = 5.0
_UCRED = struct.Struct("3i")


@dataclass(eq=False)
class Client:
    """One connection: an evaluator, and the one arm that it asked for.

    Attributes:
        received: what has arrived of the specification.
        descriptors: the arm's channel and output, until it is forked.
        pid: of the arm, once it is forked.
        first: the first process of the arm's PID namespace, if it has one; until it is gone, something of the arm is left.
    """

    connection: socket.socket
    received: bytes = b""
    descriptors: list[int] = field(default_factory=list)
    pid: int | None = None
    first: First | None = None

    def tell(self, message: Json) -> None:
        """Send a message; a client that is gone does not matter."""
        with suppress(OSError):
            self.connection.sendall(json.dumps(message).encode() + b"\n")

    def drop_descriptors(self) -> None:
        """Close what only the arm needs."""
        while self.descriptors:
            os.close(self.descriptors.pop())


class ForkServer:
    """Accepts specifications, forks arms, reports their ends.

    Args:
        listener: bound and listening.
        parent: process id of the run's owner; the server ends with it.
    """

    def __init__(self, listener: socket.socket, parent: int) -> None:
        self._listener = listener
        self._parent = parent
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = socket.socketpair()
        self._arms: dict[int, Client] = {}
        self._firsts: dict[int, Client] = {}
        self._leaving: set[Client] = set()
        self._stopping = False
        self._spare: Spare | None = None
        self._last: Jail | None = None  # the next one is probably like it
        self._has_numbers = False  # of processes, in a PID namespace

    def serve(self) -> None:
        """Serve until the parent process dies or the server gets SIGTERM; nothing is left then."""
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._listener.setblocking(False)
        signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._stop)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup leaves it
            signal.signal(signal.SIGHUP, self._stop)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        while not self._stopping and os.getppid() == self._parent:
            if self._spare is not None and self._spare.ready.is_stale():
                self._spare.close()  # it holds mounts that the machine may have given up
                self._spare = None
            if self._spare is None:  # while nobody waits for it
                self._spare = self._make_spare()
            for key, _ in self._selector.select(_LOOK_S):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._wake_read:
                    with suppress(BlockingIOError):
                        self._wake_read.recv(4096)
                else:
                    self._receive(key.data)
            self._reap()
        self._end()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            time.sleep(0.1)  # out of descriptors: they come back when an arm ends, a busy loop brings none
            return
        connection.setblocking(False)
        client = Client(connection)
        peer, _, _ = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        if peer in tree(os.getpid()):
            # What an arm had forked here would run outside of its lease and its limits.
            client.tell({"error": "an arm may not ask for another one"})
            connection.close()
            return
        self._selector.register(connection, selectors.EVENT_READ, client)

    def _receive(self, client: Client) -> None:
        try:
            text, descriptors, _, _ = socket.recv_fds(client.connection, 65536, 2, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            text, descriptors = b"", []
        client.received += text
        client.descriptors += descriptors
        if not text:  # the evaluator has closed, or died
            self._dismiss(client)
        elif client.pid is not None or len(client.received) > MAX_SPECIFICATION_BYTES:
            self._refuse(client, "expected one specification, of at most a megabyte, per connection")
        elif client.received.endswith(b"\n"):
            self._start(client)

    def _start(self, client: Client) -> None:
        try:
            specification = json.loads(client.received)
            channel, output = client.descriptors
            if not isinstance(specification, dict):
                raise ValueError("not an object")
        except (ValueError, RecursionError) as error:
            self._refuse(client, f"expected a JSON object and two descriptors: {error}")
            return
        try:
            self._fill(specification)
            client.pid = os.fork() if self._spare is None else self._spare.fork()
        except (LookupError, OSError, TypeError) as error:
            self._refuse(client, f"the process could not be forked: {error}")
            return
        if not client.pid:
            self._become_arm(specification, channel, output)
        if self._spare is not None:
            client.first, self._spare.first = self._spare.first, None
            self._spare.close()
            self._spare = None
        if client.first is not None:
            self._firsts[client.first.pid] = client
        self._arms[client.pid] = client
        client.received = b""
        client.drop_descriptors()
        client.tell({"pid": client.pid})

    def _fill(self, specification: Json) -> None:
        asked = specification.get("jail")
        if not isinstance(asked, dict):
            if self._spare is not None:
                self._spare.drop_first()
            return
        self._last = jail = Jail.of(asked, disk_bytes=specification.get("disk_bytes"))
        self._has_numbers = {"namespaces", "processes"} <= set(asked["layers"])
        if self._spare is None:  # several asked together
            self._spare = self._make_spare()
        self._spare.suit(map(str, jail.readable), jail.own, numbers=self._has_numbers)

    def _make_spare(self) -> Spare:
        if self._last is None:
            return make_spare()
        return make_spare(map(str, self._last.readable), self._last.own, numbers=self._has_numbers)

    def _refuse(self, client: Client, reason: str) -> None:
        client.tell({"error": reason})
        self._dismiss(client)

    def _dismiss(self, client: Client) -> None:
        self._selector.unregister(client.connection)
        client.drop_descriptors()
        if client.pid in self._arms:
            self._kill(client)
        self._leaving.add(client)

    def _kill(self, client: Client) -> None:
        if client.first is not None:
            client.first.end()  # and all of the namespace with it, however fast it starts processes
        elif client.pid is not None:
            kill_tree(client.pid)

    def _become_arm(self, specification: Json, channel: int, output: int) -> NoReturn:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._close_sockets()
            serve.main(specification, channel, output, self._spare)
            status = 0
        except SystemExit as ending:
            status = int(ending.code or 0)
        except BaseException:
            # Only the suite's own errors arrive here, and what no memory was left to answer.
            with suppress(BaseException):
                traceback.print_exc()
        finally:
            with suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _close_sockets(self) -> None:
        clients = [key.data for key in self._selector.get_map().values() if key.data is not None]
        for client in {*clients, *self._leaving}:
            client.connection.close()
        for opened in (self._selector, self._listener, self._wake_read, self._wake_write):
            opened.close()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            client = self._arms.pop(pid, None)
            if client is not None:
                client.tell({"status": status})
                if client.first is not None:
                    client.first.end()
            self._forget_first(pid)
        # What an arm left behind has become our child: it belongs to no arm and must not compute on.
        spare = self._spare.first if self._spare is not None else None
        known = {*self._arms, *self._firsts, *([] if spare is None else [spare.pid])}
        strays = children(os.getpid()) - known
        for stray in strays:
            kill_tree(stray)
        if not strays:
            for client in [one for one in self._leaving if one.pid not in self._arms and one.first is None]:
                self._leaving.remove(client)
                client.connection.close()

    def _forget_first(self, pid: int) -> None:
        """Close what is held of the first process of a namespace, since it has been waited for."""
        client = self._firsts.pop(pid, None)
        if client is not None and client.first is not None:
            client.first.close()
            client.first = None
        elif self._spare is not None and self._spare.first is not None and self._spare.first.pid == pid:
            self._spare.first.close()
            self._spare.first = None

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _end(self) -> None:
        if self._spare is not None:
            self._spare.close()
        for client in (*self._arms.values(), *self._firsts.values()):
            self._kill(client)
        deadline = time.monotonic() + _END_S
        while children(os.getpid()) and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.01)


def main(address: str, user_dirs: Sequence[str] = ()) -> None:
    """Bind, preload, import users' code, say that all is ready, serve.

    Args:
        address: of the socket.
        user_dirs: folders whose files register methods; every arm then knows them.
    """
    parent = os.getppid()
    # Ctrl-C reaches the whole terminal; the run decides when the server ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_process_option(PR_SET_CHILD_SUBREAPER, 1)
    forbid_core_dumps()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(address)
    listener.listen(128)
    gc.disable()  # a tenth of the time of the imports
    with redirect_stdout(sys.stderr):  # the run waits for one word on stdout
        preload()
        serve.import_all()
        prepare()
        try:
            import_user_code(map(Path, user_dirs))
        except ModelgateError as problem:
            sys.exit(str(problem))
    # Frozen objects are never visited by a child's collector, so their pages stay shared. What the imports left behind is
    # frozen with them: to look for it takes longer than one of the imports.
    gc.freeze()
    gc.enable()
    print(READY, flush=True)
    ForkServer(listener, parent).serve()
    os._exit(0)  # tearing torch down takes a second and frees nothing that the kernel does not


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
