"""Whether a process waits for what does not come while it is judged: a request, a key, a job of a queue."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

_LOOK_S = 1.0
_LOOKS = 20
# Of processor time in a look: what polls uses that much, and so do these looks.
_LITTLE_S = 0.1
_AT_WORK = frozenset("RD")


@contextmanager
def when_idle(tell: Callable[[], None]) -> Iterator[None]:
    """Tell once within the context, when this process and its descendants have done nothing for 20 s.

    Args:
        tell: called in a thread of its own.
    """
    is_over = threading.Event()
    threading.Thread(target=_watch, args=(tell, is_over), daemon=True).start()
    try:
        yield
    finally:
        is_over.set()


def _watch(tell: Callable[[], None], is_over: threading.Event) -> None:
    own, quiet = threading.get_native_id(), 0
    used = _used_s()
    # Looks are counted and not seconds, of which a process that was stopped knows nothing.
    while quiet < _LOOKS:
        if is_over.wait(_LOOK_S):
            return
        before, used = used, _used_s()
        # Two that cannot be told make no number, which is no little either.
        is_quiet = used - before <= _LITTLE_S and not _is_at_work(own)
        quiet = quiet + 1 if is_quiet else 0
    tell()


def _used_s() -> float:
    """Return processor seconds of this process and its descendants; infinite where they cannot be told."""
    try:
        descendants = [process.cpu_times() for process in psutil.Process().children(recursive=True)]
    except (OSError, psutil.Error):  # one has just ended, which is no idleness
        return float("inf")
    return time.process_time() + float(sum(times.user + times.system for times in descendants))


def _is_at_work(own: int) -> bool:
    """Whether a thread other than one of this process runs, waits for a processor, or for a disk."""
    for thread in Path("/proc/self/task").iterdir():
        try:
            state = (thread / "stat").read_text().rpartition(") ")[2][:1]
        except OSError:
            continue
        if int(thread.name) != own and state in _AT_WORK:
            return True
    return False
