"""How well do language models do on datasets?

One test per model and dataset, or per shard of a large dataset. Each question is asked once and its prediction
kept at once; the score of all of them comes with its interval, and with the number of answers that could not
be read. Without a required score or a reference run the test passes when every question was asked and scored.
"""

from __future__ import annotations


def test_combination(combination, scoring):
    scoring.infer()
    if not scoring.evaluates:
        return
    outcome = scoring.evaluate()
    assert outcome.score.holds, outcome.reason
    assert outcome.reference.holds, outcome.reason
