"""Leases of cores and devices: who may compute where, granted in the order of asking.

One :class:`LeaseServer` runs as a thread of the process that owns the run; every worker, itself
included, asks it through a Unix socket. The order is strictly first come, first served, so an
exclusive request is not starved by small ones; a lease is granted whole or not at all, so there is
no deadlock; and it ends with the connection, so a holder that dies frees it.
"""

from __future__ import annotations

import json
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

Service = Callable[[], str]

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

    def release(self, holder: int) -> None:
        """Free what the holder has, and forget what it waits for; unknown holders are ignored."""
        self.held.pop(holder, None)
        self.waiting = deque(entry for entry in self.waiting if entry[0] != holder)

    def grant(self) -> list[tuple[int, tuple[int, ...]]]:
        """Grant from the head of the queue while it fits; return the new ``(holder, resources)``."""
        granted = []
        while self.waiting:
            holder, count = self.waiting[0]
            taken = {resource for lease in self.held.values() for resource in lease}
            free = [resource for resource in self.resources if resource not in taken]
            if len(free) < count:
                break
            self.waiting.popleft()
            self.held[holder] = tuple(free[:count])
            granted.append((holder, self.held[holder]))
        return granted


class LeaseServer:
    """Serves leases, and the addresses of services, on a Unix socket from a thread of its own.

    Args:
        address: path of the socket, at most about 100 bytes long.
        resource_count: how many resources there are; they are numbered from 0.
        services: started on first request; each returns the address that clients get.
    """

    def __init__(
        self, address: Path, resource_count: int, services: Mapping[str, Service] | None = None
    ) -> None:
        self.address = address
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
            for key, _ in self._selector.select():
                if key.fileobj is self._wake_read:
                    self._close()
                    return
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._receive(key.fd)
            # Again until nothing is left to grant: a holder that has just died frees what it was given.
            while granted := self._queue.grant():
                for holder, resources in granted:
                    self._answer(holder, {"resources": list(resources)})

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
        self._queue.release(holder)

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

    def __enter__(self) -> Lease:
        """Wait for the lease.

        Raises:
            ConnectionError: when the run that grants leases has ended.
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
    if "error" in answer:
        raise RuntimeError(f"the run refused {request}: {answer['error']}")
    return answer
