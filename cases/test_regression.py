"""Does an encoder, trained on scored texts, predict the scores of texts that it has not seen?

One test per task. The model is trained anew, from a pretrained encoder, a checkpoint or nothing, and evaluated on
the range of the real scores; every metric comes with its interval. It passes when its error is under that of
always predicting the mean of the evaluated scores, the whole interval of the difference included.
"""

from __future__ import annotations


def test_regression(regression_task, regression):
    regression.train()
    outcome = regression.evaluate()
    assert outcome.gain.holds, outcome.reason


def test_regression_control_is_rejected(regression_control, regression):
    """A control cannot be learnt, such as texts with each other's scores: it is green when that is found."""
    verdict = regression.verdict()
    assert not verdict.holds, (
        f"expected {regression_control.expect}, but nothing was found wrong: {verdict.reason}"
    )
    assert verdict.reason_code == regression_control.expect, (
        f"expected {regression_control.expect}: {verdict.reason}"
    )
