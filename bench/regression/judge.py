"""The gate of a regression case: it must beat always predicting the mean."""

from __future__ import annotations

from bench.core import gate as judge
from bench.core.record import Verdict
from bench.metrics.regression import Estimate
from bench.regression.measures import Gain


def judge_gain(gain: Gain, rmse: Estimate) -> Verdict:
    """Compare the gain over the mean predictor with zero: a pass needs its whole interval above.

    The interval is over evaluation rows, for the model as it was trained: it says that this model beats the mean on
    rows like these, not that another training would.
    """
    shown = f"rmse {rmse.value:.4g} of {rmse.n}, {gain.mean_rmse:.4g} for the mean {gain.mean:.4g}: gain {gain.value:+.4g}"
    advice = "train longer or otherwise, or see whether the scores follow from the texts"
    return judge.judge_gain(gain.to_record(), shown, advice)
