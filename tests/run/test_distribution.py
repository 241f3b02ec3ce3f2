"""Which cases a worker is given, and when, where the user leaves it to the suite."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from bench.run.distribution import QuickCases, QuickLoad

QUICK_S, LONG_S = 0.001, 60.0


class Worker:
    """A worker that only notes what it is sent."""

    def __init__(self, name: str) -> None:
        self.gateway, self.shutting_down = SimpleNamespace(id=name), False
        self.sent: list[list[int]] = []

    def send_runtest_some(self, indices: list[int]) -> None:
        self.sent.append(list(indices))

    def shutdown(self) -> None:
        self.shutting_down = True


def config_of(dist: str = "load") -> SimpleNamespace:
    options = {"tx": ["2*popen"], "maxschedchunk": 1, "dist": dist}
    return SimpleNamespace(
        option=SimpleNamespace(**options),
        getoption=options.__getitem__,
        getvalue=options.__getitem__,
        rootpath=None,
    )


def started(cases: int) -> tuple[QuickLoad, list[Worker]]:
    """Return what hands out so many cases to two workers, after its first messages."""
    scheduler = QuickLoad(config_of())
    workers = [Worker("gw0"), Worker("gw1")]
    for worker in workers:
        scheduler.add_node(worker)
        scheduler.add_node_collection(worker, [f"case-{number}" for number in range(cases)])
    scheduler.schedule()
    return scheduler, workers


def run_all(
    scheduler: QuickLoad, workers: list[Worker], seconds: Callable[[int], float]
) -> tuple[list[int], int]:
    """End cases in turns until there is none; return those that ended, and how many one worker had at most."""
    ended, most = [], 0
    while any(scheduler.node2pending.values()):
        for worker in workers:
            has = scheduler.node2pending[worker]
            most = max(most, len(has))
            if has:
                ended.append(has[0])
                scheduler.mark_test_complete(worker, has[0], seconds(has[0]))
    return ended, most


def test_long_cases_are_handed_out_one_at_a_time() -> None:
    scheduler, workers = started(100)
    ended, most = run_all(scheduler, workers, lambda case: LONG_S)
    assert sorted(ended) == list(range(100))
    assert most == 2, "the one that runs, and the next"


def test_quick_cases_are_handed_out_together_and_each_once() -> None:
    scheduler, workers = started(1000)
    ended, most = run_all(scheduler, workers, lambda case: QUICK_S)
    assert sorted(ended) == list(range(1000))
    assert 2 < most < 16
    assert sum(len(worker.sent) for worker in workers) < 300
    assert all(worker.shutting_down for worker in workers)


def test_long_cases_after_quick_ones_do_not_wait_behind_each_other() -> None:
    scheduler, workers = started(200)
    seen: list[int] = []

    def seconds(case: int) -> float:
        if case >= 120:  # the long ones, once those that came together are over
            seen.append(max(len(has) for has in scheduler.node2pending.values()))
            return LONG_S
        return QUICK_S

    ended, _ = run_all(scheduler, workers, seconds)
    assert sorted(ended) == list(range(200))
    assert max(seen[30:]) == 2


def test_cases_of_a_worker_that_dies_go_to_the_other() -> None:
    scheduler, workers = started(100)
    for _ in range(20):
        has = scheduler.node2pending[workers[0]]
        scheduler.mark_test_complete(workers[0], has[0], QUICK_S)
    left = (
        set(scheduler.pending)
        | set(scheduler.node2pending[workers[0]])
        | set(scheduler.node2pending[workers[1]])
    )
    crashed = scheduler.remove_node(workers[0])
    ended, _ = run_all(scheduler, workers[1:], lambda case: QUICK_S)
    assert {f"case-{case}" for case in ended} == {f"case-{case}" for case in left} - {crashed}


@pytest.mark.parametrize("dist", ["loadfile", "worksteal", "no"])
def test_another_way_of_handing_out_is_left_to_xdist(dist: str) -> None:
    assert QuickCases().pytest_xdist_make_scheduler(config_of(dist), None) is None
