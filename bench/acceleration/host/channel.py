"""The evaluator's two connections for one arm: the channel to it, and the one to the fork server about it."""

from __future__ import annotations

import json
import math
import select
import socket
import time
from typing import Any

from bench.core.record import Json


class Channel(socket.socket):
    """The evaluator's end of the channel to an arm.

    A whole message has one deadline, so that bytes that trickle in one by one do not move it.

    Attributes:
        deadline: by :func:`time.monotonic`.
    """

    deadline = math.inf

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Receive before the deadline."""
        self._set_timeout()
        return super().recv(size, flags)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Receive before the deadline."""
        self._set_timeout()
        return super().recv_into(buffer, nbytes, flags)

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send before the deadline."""
        self._set_timeout()
        super().sendall(data, flags)

    def is_ready(self, timeout_s: float) -> bool:
        """Wait until something arrives or the arm's end is closed; False when neither happens in time."""
        return bool(self._poll(timeout_s))

    def is_hung_up(self) -> bool:
        """Whether every copy of the arm's end is closed."""
        return bool(self._poll(0) & select.POLLHUP)

    def _poll(self, timeout_s: float) -> int:
        poller = select.poll()
        poller.register(self, select.POLLIN)
        return sum(event for _, event in poller.poll(1000 * max(0.0, timeout_s)))

    def _set_timeout(self) -> None:
        left_s = self.deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the time for this message is over")
        self.settimeout(None if math.isinf(left_s) else left_s)


class Supervision:
    """The connection to the fork server about one arm, from the request for it to its end.

    Attributes:
        status: how the process ended, as :func:`os.waitpid` gives it; None as long as nobody said.
        is_over: whether the server has closed the connection: nothing of the arm is left, or the server is gone.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self.is_over = False
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._unread = b""
        self._answer: Json | None = None

    def request(self, server: str, specification: Json, descriptors: list[int], timeout_s: float) -> int:
        """Ask for a process that has the two descriptors, channel and output; return its id.

        Raises:
            OSError: when the server cannot be reached, gives no answer or refuses.
        """
        text = json.dumps(specification).encode() + b"\n"
        self._connection.connect(server)
        sent = socket.send_fds(self._connection, [text], descriptors)
        self._connection.sendall(text[sent:])
        deadline = time.monotonic() + timeout_s
        while self._answer is None and not self.is_over and self._listen(deadline):
            pass
        if self._answer is None or "pid" not in self._answer:
            raise OSError((self._answer or {}).get("error", "it gave no answer"))
        return int(self._answer["pid"])

    def wait(self, timeout_s: float) -> bool:
        """Wait until the process has ended; return whether it has, as far as the server says."""
        deadline = time.monotonic() + timeout_s
        while self.status is None and not self.is_over and self._listen(deadline):
            pass
        return self.status is not None or self.is_over

    def end(self, timeout_s: float) -> None:
        """Have the arm and all it started killed, wait until nothing of it is left, and disconnect."""
        if self._connection.fileno() < 0:
            return
        try:
            self._connection.shutdown(socket.SHUT_WR)
        except OSError:
            self.is_over = True
        deadline = time.monotonic() + timeout_s
        while not self.is_over and self._listen(deadline):
            pass
        self.is_over = True
        self._connection.close()

    def _listen(self, deadline: float) -> bool:
        """Take in what the server says next; False when it says nothing before the deadline."""
        try:
            self._connection.settimeout(max(0.0, deadline - time.monotonic()))
            received = self._connection.recv(4096)
        except (BlockingIOError, TimeoutError):
            return False
        except OSError:
            received = b""
        self.is_over = not received
        *lines, self._unread = (self._unread + received).split(b"\n")
        for message in map(json.loads, lines):
            if "status" in message:
                self.status = int(message["status"])
            else:
                self._answer = message
        return True
