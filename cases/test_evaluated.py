"""Is what a training script evaluated good enough?

One test per evaluation that a `RecordCallback` wrote to a folder of `--evaluated`. The gain over a random order,
where it is known, must lie above zero, and what `--require` asks for must be reached, each with the whole interval.
"""

from __future__ import annotations


def test_evaluated(evaluated, stored):
    verdict = stored.judge()
    assert verdict.holds, verdict.reason
