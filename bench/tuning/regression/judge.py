"""The gate of a regression case: it must beat always predicting the mean."""

from __future__ import annotations

from bench.metrics.regression import Estimate
from bench.record import Verdict
from bench.tuning.regression.measures import Gain


def judge_gain(gain: Gain, rmse: Estimate) -> Verdict:
    """Compare the gain over the mean predictor with zero: a pass needs its whole interval above.

    The interval is over evaluation rows, for the model as it was trained: it says that this model beats the mean on
    rows like these, not that another training would.
    """
    shown = (
        f"rmse {rmse.value:.4g} of {rmse.n}, {gain.mean_rmse:.4g} for the mean {gain.mean:.4g}: gain "
        f"{gain.value:+.4g} [{gain.low:+.4g}, {gain.high:+.4g}]"
    )
    if gain.low > 0:
        return Verdict("pass", "passed", shown)
    return Verdict(
        "fail",
        "baseline_not_beaten",
        f"{shown}, expected all of the interval above zero; train longer or otherwise, or see whether the scores follow "
        "from the texts",
    )
