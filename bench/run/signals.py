"""Signals by which schedulers, terminals and people end a run."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Endings:
    """Makes SIGTERM and SIGHUP raise KeyboardInterrupt as SIGINT does, and none of them between steps that belong together.

    A second SIGTERM or SIGHUP finds the run ending already; a second SIGINT is a person who does not want to wait. A signal
    that is ignored, as under nohup, or that somebody else handles, is left alone.

    Attributes:
        received: name of the signal that ended the run, or None.
        is_over: whether everything is decided and recorded, and only reports are still to be written: a SIGTERM or SIGHUP
            then changes nothing, and would only leave these reports out.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self.is_over = False
        self._installed: dict[signal.Signals, Any] = {}
        self._depth = 0
        self._waiting = False

    def install(self) -> None:
        """Begin to handle the signals; does nothing outside of the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _ENDING:
            before = signal.getsignal(number)
            if before in (signal.SIG_DFL, signal.default_int_handler):
                self._installed[number] = before
                signal.signal(number, self._end)

    def remove(self) -> None:
        """Leave the signals as they were."""
        for number, before in self._installed.items():
            signal.signal(number, before)
        self._installed.clear()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let a signal that arrives within this block wait for its end."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if self._waiting and not self._depth:
                self._waiting = False
                raise KeyboardInterrupt(self.received)

    def _end(self, number: int, frame: FrameType | None) -> None:
        if (self.received is not None or self.is_over) and number != signal.SIGINT:
            return
        self.received = signal.Signals(number).name
        if self._depth:
            self._waiting = True
            return
        raise KeyboardInterrupt(self.received)
