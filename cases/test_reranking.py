"""How near the top do rankers put what is relevant?

One test per ranker and query set. Every query has candidates of its own; equal scores are ordered against the
ranker, so that no score is gained by a tie. The gain over a random order must lie above zero with its whole
interval, and so must the score above what is required.
"""

from __future__ import annotations


def test_ranking(ranking, reranking):
    outcome = reranking.rank()
    assert outcome.gain.holds, outcome.reason
    assert outcome.score.holds, outcome.reason


def test_ranking_control_is_rejected(ranking_control, reranking):
    """A control is a ranker with a known fault: it is green when that very fault is found."""
    verdict = reranking.verdict()
    assert not verdict.holds, (
        f"expected {ranking_control.expect}, but nothing was found wrong: {verdict.reason}"
    )
    assert verdict.reason_code == ranking_control.expect, (
        f"expected {ranking_control.expect}: {verdict.reason}"
    )
