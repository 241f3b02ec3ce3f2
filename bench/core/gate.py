"""Gates of what is measured on a task: better than the trivial predictor, and as good as was required."""

from __future__ import annotations

from typing import Any

from bench.core.record import Verdict

ADVICE = "see whether what was predicted belongs to the right sample and higher is better, or evaluate more"


def judge_gain(gain: dict[str, Any], shown: str | None = None, advice: str = ADVICE) -> Verdict:
    """Compare the gain over the trivial predictor with zero: a pass needs its whole interval above.

    Args:
        gain: the key of that name of a record.
        shown: what the reason says of the gain before its interval; left out, its metric and value.
        advice: what to do where it is not above zero.
    """
    over = "" if shown else f" over {gain['over']}"
    shown = shown or f"gain in {gain['metric']} {gain['value']:+.4g}"
    if gain["low"] is None:
        return Verdict(
            "inconclusive",
            "score_undecided",
            f"{shown}{over}: one sample has no interval; evaluate more",
        )
    shown += f" [{gain['low']:+.4g}, {gain['high']:+.4g}]{over}"
    if gain["low"] > 0:
        return Verdict("pass", "passed", shown)
    return Verdict(
        "fail",
        "baseline_not_beaten",
        f"{shown}, expected all of the interval above zero; {advice}",
    )


def judge_limit(name: str, metric: dict[str, Any], limit: float | None, *, at_most: bool = False) -> Verdict:
    """Compare a metric with a limit: a pass needs its whole interval on the right side.

    Args:
        name: of the metric.
        metric: its ``value``, ``low``, ``high`` and ``n``; without an interval the value alone is compared, and the
            reason says so.
        limit: None is not gated.
        at_most: whether less is better.
    """
    value, low, high = metric["value"], metric["low"], metric["high"]
    if value is None:
        return Verdict(
            "inconclusive", "score_undecided", f"{name} has no value: {metric['reason']}; evaluate more"
        )
    interval = ", no interval known" if low is None else f" [{low:.4g}, {high:.4g}]"
    shown = f"{name} {value:.4g}{interval}" + (f" of {metric['n']}" if metric["n"] else "")
    if limit is None:
        return Verdict("pass", "passed", shown)
    shown += f", at {'most' if at_most else 'least'} {limit:g} required"
    low, high = (value, value) if low is None else (low, high)
    worse, better, bound = (-high, -low, -limit) if at_most else (low, high, limit)
    if worse >= bound:
        return Verdict("pass", "passed", shown)
    if better < bound:
        return Verdict("fail", "score_missed", f"{shown}; train longer, or take a better model")
    return Verdict(
        "inconclusive",
        "score_undecided",
        f"{shown}: the interval contains it; evaluate more samples or change the requirement",
    )
