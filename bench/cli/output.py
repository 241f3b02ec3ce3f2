"""What a command prints: for a program one object, and where nobody reads on, as behind ``| head``, nothing."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


USAGE_ERROR = 4
"""Exit code of what cannot be used."""


def refuse(message: str, *, as_json: bool = False) -> int:
    """Say what cannot be used, to a program as an object; return the exit code."""
    if as_json:
        print(json.dumps({"verdict": "usage", "exit_code": USAGE_ERROR, "reason": message}))
    else:
        print(message, file=sys.stderr)
    return USAGE_ERROR


class _Pipe(io.RawIOBase):
    """Writes to a descriptor for as long as somebody reads."""

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
        return memoryview(data).nbytes


@contextmanager
def read_or_not() -> Iterator[None]:
    """Let nothing fail because the reader of stdout is gone."""
    before = sys.__stdout__
    if before is None or sys.stdout is not before:  # somebody has put another one in its place, who reads it
        yield
        return
    before.flush()
    raw = io.BufferedWriter(_Pipe(before.fileno()))
    sys.stdout = io.TextIOWrapper(
        raw, encoding=before.encoding, errors=before.errors, line_buffering=before.line_buffering
    )
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stdout = before
