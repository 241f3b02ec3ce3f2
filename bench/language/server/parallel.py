"""Sends requests in parallel, and hands on each answer when it arrives: what has arrived is not lost with what fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_parallel(
    action: Callable[[Item], Result],
    items: Sequence[Item],
    threads: int,
    done: Callable[[int, Result], None],
    stopped: Event,
) -> None:
    """Apply an action to items in threads. ``done`` gets index and result of each, in the calling thread, as they come.

    After a failure no further item begins. Those that have begun are waited for, and their results are handed on.

    Args:
        action: called in the threads.
        items: what to do.
        threads: how many at most.
        done: takes each result.
        stopped: is set after a failure, so that actions which wait need not go on.

    Raises:
        Exception: the first that an action or ``done`` raises.
    """
    if not items:
        return
    stopped.clear()
    pool = ThreadPoolExecutor(min(threads, len(items)), thread_name_prefix="completion")
    failure: Exception | None = None
    try:
        futures: dict[Future[Result], int] = {
            pool.submit(action, item): index for index, item in enumerate(items)
        }
        arrived: SimpleQueue[Future[Result]] = SimpleQueue()
        for future in futures:
            future.add_done_callback(arrived.put)
        for _ in futures:
            future = arrived.get()
            if future.cancelled():
                continue
            try:
                done(futures[future], future.result())
            except Exception as error:
                if failure is None:
                    failure = error
                    stopped.set()
                    for other in futures:
                        other.cancel()  # does nothing to those that have begun
    finally:
        stopped.set()  # also after an interrupt: no thread waits for its next try
        pool.shutdown(wait=True, cancel_futures=True)
    if failure is not None:
        raise failure
