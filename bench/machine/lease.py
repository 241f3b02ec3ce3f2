"""Leases of cores and devices: who may compute where, granted in the order of asking.

One :class:`LeaseServer` runs as a thread of the process that owns the run; every worker, itself
included, asks it through a Unix socket. The order is strictly first come, first served, so an
exclusive request is not starved by small ones; a lease is granted whole or not at all, so there is
no deadlock; and it ends with the connection, so a holder that dies frees it.

What is granted is also locked on the whole machine (:mod:`bench.machine.machine_lease`). What another run holds is asked
for again and again while somebody waits. The order of asking holds within a run.
"""

from __future__ import annotations

import json
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.machine.machine_lease import Holder, MachineLocks

Service = Callable[[], str]
Take = Callable[[Sequence[int], int], Sequence[int]]

_POLL_S = 0.2
_QUIET_S = 1.0
"""How long a request waits for another run before the user is told."""


class MachineBusy(Exception):
    """Another run on this machine holds what was asked for, and nobody wants to wait."""


class ServiceRefused(Exception):
    """The run could not do what it was asked for; the message says why."""


_ENDED = "the run that grants leases has ended; nothing can be measured any more"


@dataclass
class LeaseQueue:
    """The order of granting, free of sockets and threads.

    Args:
        resources: what can be leased, such as the indices of cores.
    """

    resources: Sequence[int]
    held: dict[int, tuple[int, ...]] = field(default_factory=dict)
    waiting: deque[tuple[int, int]] = field(default_factory=deque)

    def request(self, holder: int, count: int) -> None:
        """Queue a request for ``count`` resources; more than there are means all of them."""
        if count < 1:
            raise ValueError(f"a lease of {count} resources was asked for; ask for at least 1")
        if holder in self.held or any(holder == other for other, _ in self.waiting):
            raise ValueError(f"holder {holder} asks for a second lease; release the first one before")
        self.waiting.append((holder, min(count, len(self.resources))))

    def release(self, holder: int) -> tuple[int, ...]:
        """Free what the holder has and return it, and forget what it waits for; unknown holders are ignored."""
        self.waiting = deque(entry for entry in self.waiting if entry[0] != holder)
        return self.held.pop(holder, ())

    def grant(self, take: Take = lambda free, count: free[:count]) -> list[tuple[int, tuple[int, ...]]]:
        """Grant from the head of the queue while it fits; return the new ``(holder, resources)``.

        Args:
            take: chooses ``count`` of the free resources; what has fewer ends the granting.
        """
        granted = []
        while self.waiting:
            holder, count = self.waiting[0]
            in_use = {resource for lease in self.held.values() for resource in lease}
            free = [resource for resource in self.resources if resource not in in_use]
            if len(free) < count or len(taken := tuple(take(free, count))) < count:
                break
            self.waiting.popleft()
            self.held[holder] = taken
            granted.append((holder, self.held[holder]))
        return granted


class LeaseServer:
    """Serves leases, and the addresses of services, on a Unix socket from a thread of its own.

    Args:
        address: path of the socket, at most about 100 bytes long.
        resource_count: how many resources there are; they are numbered from 0.
        services: started on first request; each returns the address that clients get.
        locks: of the resources on the whole machine; None where leases hold among the clients only.
        wait: whether a request waits for another run; else it is refused, see :class:`MachineBusy`.
        tell: called from the server's thread with a line for the user.
    """

    def __init__(
        self,
        address: Path,
        resource_count: int,
        services: Mapping[str, Service] | None = None,
        *,
        locks: MachineLocks | None = None,
        wait: bool = True,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.address = address
        self._locks, self._wait, self._tell_user = locks, wait, tell
        self._elsewhere: dict[int, Holder] = {}  # what the head of the queue waits for
        self._blocked_since: dict[int, float] = {}
        self._told: set[int | str] = set()
        self._queue = LeaseQueue(range(resource_count))
        self._services = dict(services or {})
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(address))
        self._listener.listen(128)
        self._wake_read, self._wake_write = socket.socketpair()
        self._connections: dict[int, socket.socket] = {}
        self._thread = threading.Thread(target=self._serve, name="modelgate-leases", daemon=True)

    def start(self) -> LeaseServer:
        """Begin to serve; returns itself."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the thread and close every connection; waiting clients get an error."""
        with suppress(OSError):  # stopped already
            self._wake_write.send(b"x")
        self._thread.join(timeout=10)
        self._wake_write.close()
        self._wake_read.close()

    def _serve(self) -> None:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select(_POLL_S if self._elsewhere else None):
                if key.fileobj is self._wake_read:
                    self._close()
                    return
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._receive(key.fd)
            # Again until nothing is left to grant: a holder that has just died frees what it was given.
            while granted := self._grant():
                for holder, resources in granted:
                    self._answer(holder, {"resources": list(resources)})
            if self._elsewhere:
                self._wait_for_other_runs()

    def _grant(self) -> list[tuple[int, tuple[int, ...]]]:
        self._elsewhere = {}
        return self._queue.grant(self._take)

    def _take(self, free: Sequence[int], count: int) -> Sequence[int]:
        if self._locks is None:
            return free[:count]
        taken, elsewhere = self._locks.take(free, count)
        self._elsewhere = {} if taken else elsewhere
        problem = self._locks.problem
        if problem is not None:
            self._tell("problem", f"{problem}; other runs on this machine are not waited for")
        return taken

    def _wait_for_other_runs(self) -> None:
        """Tell the user after a while whom the head of the queue waits for; refuse it where nobody wants to wait."""
        assert self._locks is not None
        holder, count = self._queue.waiting[0]
        waited_s = time.monotonic() - self._blocked_since.setdefault(holder, time.monotonic())
        held = self._locks.describe(self._elsewhere)
        if self._wait:
            if waited_s >= _QUIET_S:
                self._tell(holder, f"waiting for {held} on this machine; --no-wait fails instead")
        elif waited_s >= _POLL_S and len(self._queue.resources) - len(self._elsewhere) < count:
            # Tried twice: a run that tries to lock several holds some for a moment.
            self._forget(holder)
            self._answer(holder, {"busy": busy_message(held)})

    def _tell(self, subject: int | str, line: str) -> None:
        """Tell the user once about a waiting holder, or about a problem."""
        if self._tell_user is not None and subject not in self._told:
            self._told.add(subject)
            with suppress(Exception):  # what is told must not end the serving
                self._tell_user(line)

    def _forget(self, holder: int) -> None:
        freed = self._queue.release(holder)
        if self._locks is not None:
            self._locks.release(freed)
        self._blocked_since.pop(holder, None)
        self._told.discard(holder)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        self._connections[connection.fileno()] = connection
        self._selector.register(connection, selectors.EVENT_READ)

    def _receive(self, holder: int) -> None:
        connection = self._connections[holder]
        try:
            line = connection.recv(4096)
        except OSError:
            line = b""
        if not line:
            self._drop(holder)
            return
        try:
            request = json.loads(line)
            if "service" in request:
                self._answer(holder, {"address": self._services[request["service"]]()})
            else:
                self._queue.request(holder, int(request["lease"]))
        except Exception as error:  # an answer beats a client that waits for ever
            self._answer(holder, {"error": f"{type(error).__name__}: {error}"})

    def _answer(self, holder: int, answer: dict[str, object]) -> None:
        try:
            self._connections[holder].sendall(json.dumps(answer).encode() + b"\n")
        except OSError:
            self._drop(holder)

    def _drop(self, holder: int) -> None:
        connection = self._connections.pop(holder)
        self._selector.unregister(connection)
        connection.close()
        self._forget(holder)

    def _close(self) -> None:
        for holder in list(self._connections):
            self._drop(holder)
        self._listener.close()
        self._selector.close()
        self.address.unlink(missing_ok=True)


class Lease:
    """A held lease; a context manager that waits on entry and frees on exit.

    Attributes:
        resources: numbers of the leased resources, set on entry.
    """

    def __init__(self, address: str | Path, count: int) -> None:
        self._address = str(address)
        self._count = count
        self._socket: socket.socket | None = None
        self.resources: tuple[int, ...] = ()

    def __enter__(self) -> Self:
        """Wait for the lease.

        Raises:
            ConnectionError: when the run that grants leases has ended.
            MachineBusy: when another run holds what it takes, and the run does not wait.
        """
        connection = _connect(self._address)
        try:
            answer = _ask(connection, {"lease": self._count})
        except BaseException:  # who gives up waiting must not stay in the queue
            connection.close()
            raise
        self._socket = connection
        self.resources = tuple(answer["resources"])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Free the lease."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def service_address(address: str | Path, service: str) -> str:
    """Return the address of a service of the run, which starts it when it is the first to ask."""
    with _connect(str(address)) as connection:
        return str(_ask(connection, {"service": service})["address"])


def busy_message(held: str) -> str:
    """Return why a run that does not wait cannot compute; ``held`` says what is held, and by whom."""
    return (
        f"found {held} on this machine, expected it to be free; leave --no-wait out, or run again when the other run has "
        "ended"
    )


def _connect(address: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(address)
    except OSError as error:
        connection.close()
        raise ConnectionError(f"{_ENDED} ({error})") from error
    return connection


def _ask(connection: socket.socket, request: dict[str, object]) -> dict[str, Any]:
    connection.sendall(json.dumps(request).encode() + b"\n")
    with connection.makefile("rb") as answers:
        line = answers.readline()
    if not line:
        raise ConnectionError(_ENDED)
    answer: dict[str, Any] = json.loads(line)
    if "busy" in answer:
        raise MachineBusy(answer["busy"])
    if "error" in answer:
        raise ServiceRefused(answer["error"])
    return answer
