"""The hint on workers that can only wait for a lease."""

from pathlib import Path

import pytest

from bench.run.view import RunView, Seeds, idle_workers


def view(workers, cores):
    return RunView(Path("scratch"), "address", Seeds(0), workers, tuple((cpu,) for cpu in range(cores)))


@pytest.mark.parametrize(
    ("workers", "cores", "gpus", "exclusive", "expected"),
    [
        (1, 1, None, False, None),
        (2, 2, None, False, None),
        (2, 8, None, False, None),
        (3, 8, None, False, None),
        (1, 8, None, True, None),
        (2, 8, 2, False, None),
        (8, 2, None, False, "-n 8: 2 cores are usable, so 2 workers compute at once and 6 wait; use -n 2"),
        (2, 1, None, False, "-n 2: 1 core is usable, so 1 worker computes at once and 1 waits; leave out -n"),
        (4, 8, None, True,
         "-n 4: --exclusive leases everything to one case, so 1 worker computes at once and 3 wait; leave out -n"),
        (4, 8, 1, False, "-n 4: 1 GPU is usable, so 1 worker computes at once and 3 wait; leave out -n"),
        (4, 8, 2, False, "-n 4: 2 GPUs are usable, so 2 workers compute at once and 2 wait; use -n 2"),
    ],
)  # fmt: skip
def test_workers_that_wait_are_counted(workers, cores, gpus, exclusive, expected):
    assert idle_workers(view(workers, cores), gpus=gpus, exclusive=exclusive) == expected
