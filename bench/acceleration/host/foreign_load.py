"""Foreign load: what else computed on the leased cores while a pair was timed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.acceleration.host.process_tree import tree
from bench.machine.cores import Core, logical
from bench.machine.load import busy_s, used_s

PROC = Path("/proc")


class ForeignLoad:
    """Adds up the time of leased cores that neither a pair nor this process used.

    Args:
        cores: the leased physical cores, to which the pair and this process are confined.
        pids: of the pair's processes; what they started counts as theirs.
    """

    def __init__(self, cores: Sequence[Core], pids: Sequence[int]) -> None:
        self._cpus, self._core_count, self._pids = logical(list(cores)), len(cores), pids
        self._elapsed_s = self._own_s = 0.0
        self._busy_s: float | None = 0.0

    def watch(self, pids: Sequence[int]) -> None:
        """Count the processes of a later launch as the pair's."""
        self._pids = pids

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure while the body runs."""
        began, busy, own = time.monotonic(), self._busy(), self._own()
        yield
        busy_now, own_now = self._busy(), self._own()
        self._elapsed_s += time.monotonic() - began
        self._own_s += own_now - own
        if busy is None or busy_now is None or self._busy_s is None:
            self._busy_s = None
        else:
            self._busy_s += busy_now - busy

    @property
    def share(self) -> float | None:
        """The foreign part of the time of the cores, from 0 to 1; None where the system does not tell.

        The second hardware thread of a core counts like the first: what computes there slows the pair too.
        """
        # Where containers see no times of the machine, the processors look idle while the pair computes.
        if self._busy_s is None or not self._elapsed_s or self._busy_s < self._own_s / 2:
            return None
        share = (self._busy_s - self._own_s) / (self._core_count * self._elapsed_s)
        return min(1.0, max(0.0, share))

    def _busy(self) -> float | None:
        try:
            return busy_s((PROC / "stat").read_text(), self._cpus)
        except OSError:
            return None

    def _own(self) -> float:
        used = time.process_time()
        for pid in self._pids:
            for member in tree(pid):
                with suppress(OSError):  # it has ended since
                    used += used_s((PROC / str(member) / "stat").read_text())
        return used
