"""benchmarks/servers.py: asks a slow server in each way and prints the time next to the least."""

from __future__ import annotations

import pytest


@pytest.mark.slow
def test_each_way_of_asking_has_a_row_with_its_ratio(run_script):
    head, _, *rows = run_script(
        "servers.py", "--requests", "4", "--concurrency", "2", "--seconds", "0.01", "--repeats", "1"
    ).splitlines()
    assert head == "4 requests of 0.01 s, 2 at a time: at least 0.02 s"
    assert [row[:20].strip() for row in rows] == ["greedy answers", "drawn answers", "log-probabilities"]
    assert all(float(row.split()[-1]) >= 1 for row in rows)
