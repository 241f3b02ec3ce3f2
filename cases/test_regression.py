"""Does an encoder, trained on scored texts, predict the scores of texts that it has not seen?

One test per task. The model is trained from a pretrained encoder, from a checkpoint or from scratch, and evaluated on
the range of the real scores. Every metric comes with its interval. A task passes when the error is under that of always
predicting the mean of the evaluated scores, by the whole interval of the difference.
"""

from __future__ import annotations


def test_regression(regression_case, evaluation):
    evaluation.train()
    outcome = evaluation.evaluate()
    assert outcome.gain.holds, outcome.reason
    assert outcome.holds, outcome.reason


def test_regression_control_is_rejected(regression_control, evaluation):
    """A control cannot be learnt, such as texts with each other's scores; it is green when that is found."""
    verdict = evaluation.verdict()
    assert not verdict.holds, (
        f"expected {regression_control.expect}, but nothing was found wrong: {verdict.reason}"
    )
    assert verdict.reason_code == regression_control.expect, (
        f"expected {regression_control.expect}: {verdict.reason}"
    )
