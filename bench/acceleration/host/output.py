"""What an arm prints: taken from a pipe, kept in its log up to a limit, and its end quoted in messages.

The arm has the pipe, never the file. An arm that prints faster than the evaluator reads has to wait, so a flood
fills no disk, and what was printed cannot be cut or rewritten.
"""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import suppress
from pathlib import Path

TAIL_LINES = 15
TAIL_BYTES = 4000
_KEPT_BYTES = 64 * 2**10
_LINE_LENGTH = 500
_CHUNK_BYTES = 64 * 2**10
_PIPE_BYTES = 2**20

# faulthandler ends its dump with our own frames and with every C extension that is loaded.
_PACKAGE = re.escape(str(Path(__file__).resolve().parents[2]))
_NOT_THE_ARMS_OWN = re.compile(
    rf'  File "(?:{_PACKAGE}/|<frozen runpy>).*, line \d+ in .*|Extension modules: .*'
)
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class OutputLog:
    """The evaluator's end of an arm's stdout and stderr.

    Args:
        path: the log, to which is added.
        limit_bytes: what the arm may print.

    Attributes:
        write_end: file descriptor for the arm.
    """

    def __init__(self, path: Path, limit_bytes: int) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        with suppress(OSError):  # over the user's quota of pipe memory: the smaller one does
            fcntl.fcntl(self.write_end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._limit = limit_bytes
        self._taken = 0
        self._end = b""

    @property
    def is_flooded(self) -> bool:
        """Whether more was printed than the limit."""
        return self._taken > self._limit

    def drain(self) -> int:
        """Take what is waiting, up to the limit, and return its size in bytes; never blocks."""
        before = self._taken
        while not self.is_flooded and self._read_end >= 0:
            try:
                chunk = os.read(self._read_end, _CHUNK_BYTES)
            except BlockingIOError:
                break
            if not chunk:
                break
            self._taken += len(chunk)
            self._end = (self._end + chunk)[-_KEPT_BYTES:]
            with suppress(OSError):  # a full disk must not end the evaluation
                os.write(self._file, chunk)
        return self._taken - before

    def text(self) -> str:
        """Return the last output, as far as it is kept at hand, without our own frames."""
        lines = printable(self._end.decode("utf-8", "replace")).splitlines()
        return "\n".join(line[:_LINE_LENGTH] for line in lines if not _NOT_THE_ARMS_OWN.fullmatch(line))

    def tail(self) -> str:
        """Return the last lines for a message."""
        return "\n".join(self.text().rstrip().splitlines()[-TAIL_LINES:])[-TAIL_BYTES:]

    def hand_over(self) -> None:
        """Close the arm's end here, once the arm has it."""
        if self.write_end >= 0:
            os.close(self.write_end)
            self.write_end = -1

    def close(self) -> None:
        """Take what is left and close; the tail stays readable. Safe to call twice."""
        self.drain()
        self.hand_over()
        for descriptor in (self._read_end, self._file):
            if descriptor >= 0:
                os.close(descriptor)
        self._read_end = self._file = -1


def printable(text: str) -> str:
    """Return an untrusted text without what disturbs a terminal or cannot be encoded."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n").replace("\r", "\n"))
