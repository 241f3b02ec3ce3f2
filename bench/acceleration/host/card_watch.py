"""What a GPU was like while a pair was timed on it: clocks, temperature, and what else computed there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence

from bench.acceleration.host.process_tree import parent_of, tree
from bench.acceleration.times import CardTimes
from bench.machine.gpu_state import GpuState, read_gpu

# The driver is asked between rounds, and takes some hundredths of a second to answer.
_EVERY_S = 2.0


class CardWatch:
    """Reads a GPU between rounds.

    Args:
        gpu: as ``CUDA_VISIBLE_DEVICES`` names it.
        pids: of the pair's processes. All that their fork server started is the run's own, such as the scorers.
        read: asks the driver.
        clock: returns the present second.
    """

    def __init__(
        self,
        gpu: str,
        pids: Sequence[int],
        *,
        read: Callable[[str, Collection[int]], GpuState] = read_gpu,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gpu, self._pids, self._read, self._clock = gpu, pids, read, clock
        self._next = 0.0
        self._readings: list[GpuState] = []

    def watch(self, pids: Sequence[int]) -> None:
        """Go on with the processes of another launch."""
        self._pids = pids

    def look(self) -> None:
        """Read it, unless that was done a moment ago."""
        if self._readings and self._clock() < self._next:
            return
        own = {member for pid in self._pids for member in tree(server_of(pid))}
        self._readings.append(self._read(self._gpu, own))
        self._next = self._clock() + _EVERY_S

    def times(self) -> CardTimes:
        """Return what was read, as a record holds it."""
        return CardTimes(
            clock_mhz=self._span("clock_mhz"),
            temperature_c=self._span("temperature_c"),
            foreign_processes=max(self._known("foreign_processes"), default=None),
            foreign_bytes=max(self._known("foreign_bytes"), default=None),
        )

    def _known(self, name: str) -> list[int]:
        """Return what was said of it, without the times at which nothing was."""
        values = (getattr(reading, name) for reading in self._readings)
        return [value for value in values if value is not None]

    def _span(self, name: str) -> list[int] | None:
        known = self._known(name)
        return [min(known), max(known)] if known else None


def server_of(pid: int) -> int:
    """Return the highest ancestor of a process that is none of this one's: the fork server, of an arm."""
    ours, above = {os.getpid()}, parent_of(os.getpid())
    while above is not None and above not in ours:
        ours.add(above)
        above = parent_of(above)
    while (parent := parent_of(pid)) is not None and parent > 1 and parent not in ours:
        pid = parent
    return pid
