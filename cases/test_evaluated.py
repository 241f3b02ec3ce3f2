"""Is what a training script evaluated good enough?

One test per evaluation that a `RecordCallback` wrote to a folder of `--evaluated`. The gain over a random order, where it
is known, must be above zero by its whole interval, and what `--require` asks for must be reached.
"""

from __future__ import annotations


def test_evaluated(evaluated_case, evaluation):
    outcome = evaluation.run()
    assert outcome.holds, outcome.reason
