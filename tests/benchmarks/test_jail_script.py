"""benchmarks/jail.py: arms start with a jail and without, and what it adds is printed with its interval."""

from __future__ import annotations

import pytest


@pytest.mark.slow
def test_what_a_jail_adds_has_a_row_for_time_and_one_for_work(run_script):
    head, _, *rows = run_script("jail.py", "--starts", "3", "--bare").splitlines()
    assert head == "3 starts of each, milliseconds"
    assert [row[:17].strip() for row in rows] == ["until first word", "processor time"]
    for row in rows:
        jail, none, _, low, _, high = row[17:].split()
        assert float(jail) > 0 < float(none)
        assert float(low) <= float(high)
