"""What a command prints when nobody reads on, as behind ``| head``: nothing, and its exit code stays what it came to.

A character that the terminal's encoding lacks is printed as an escape.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class StandardOutput(io.RawIOBase):
    """Writes to a descriptor for as long as somebody reads, and there is room.

    Attributes:
        trouble: why it could not be written to, other than that nobody reads.
    """

    trouble: OSError | None = None

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_read = True

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: ReadableBuffer, /) -> int:
        if self._is_read:
            try:
                return os.write(self._descriptor, data)
            except BrokenPipeError:
                self._is_read = False
            except OSError as error:
                self._is_read, self.trouble = False, error
        return memoryview(data).nbytes


@contextmanager
def read_or_not() -> Iterator[StandardOutput | None]:
    """Let nothing fail because the reader of stdout is gone; yield what is written to, None where stdout is replaced."""
    before = sys.__stdout__
    if before is None or sys.stdout is not before:  # somebody has put another one in its place, who reads it
        yield None
        return
    before.flush()
    output = StandardOutput(before.fileno())
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(output),
        encoding=before.encoding,
        errors="backslashreplace",
        line_buffering=before.line_buffering,
    )
    try:
        yield output
    finally:
        sys.stdout.flush()
        sys.stdout = before
