"""How near the top do rankers put what is relevant?

One test per ranker and query set. Every query has candidates of its own. Equal scores are ordered against the ranker, so
that a tie gains nothing. A ranker passes when its gain over a random order is above zero by its whole interval, and its
score reaches what is required.
"""

from __future__ import annotations


def test_reranking(reranking_case, evaluation):
    outcome = evaluation.run()
    assert outcome.gain.holds, outcome.reason
    assert outcome.score.holds, outcome.reason
    assert outcome.holds, outcome.reason


def test_reranking_control_is_rejected(reranking_control, evaluation):
    """A control is a ranker with a known fault; it is green when that very fault is found."""
    verdict = evaluation.verdict()
    assert not verdict.holds, (
        f"expected {reranking_control.expect}, but nothing was found wrong: {verdict.reason}"
    )
    assert verdict.reason_code == reranking_control.expect, (
        f"expected {reranking_control.expect}: {verdict.reason}"
    )
