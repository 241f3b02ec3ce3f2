"""How well do language models do on datasets?

One test per model and dataset, or per shard of a large dataset. Each question is asked once, and its prediction is saved
immediately. The score of a dataset comes with its interval and with the number of answers that could not be read. Without
a required score or a reference run, a test passes when every question was asked and scored.
"""

from __future__ import annotations


def test_language(language_case, evaluation):
    evaluation.infer()
    if not evaluation.evaluates:
        return
    outcome = evaluation.evaluate()
    assert outcome.score.holds, outcome.reason
    assert outcome.reference.holds, outcome.reason
    assert outcome.holds, outcome.reason
