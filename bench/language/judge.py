"""The gates of a language case: a required score, and a run that it must not be worse than."""

from __future__ import annotations

from bench.core.record import Verdict
from bench.language.grading import Scored
from bench.language.scores import Comparison


def judge_score(scored: Scored, required: float | None) -> Verdict:
    """Compare a score with the one required: a pass needs the whole interval on the right side of it."""
    record = scored.to_record()
    metric, value, n = record["metric"], record["value"], record["n"]
    unparsed = f", {record['unparsed']} unparsed" if record["unparsed"] else ""
    low, high = record["low"], record["high"]
    shown = (
        f"{metric} {value:.4g}" + ("" if low is None else f" [{low:.4g}, {high:.4g}]") + f" of {n}{unparsed}"
    )
    if required is None:
        return Verdict("pass", "passed", shown)
    if low is None or high is None:
        return Verdict(
            "inconclusive", "score_undecided", f"{shown}: one sample has no interval; evaluate more"
        )
    if not scored.higher_is_better:  # a perplexity: less is better, and the limit is an upper one
        low, high, required_, word = -high, -low, -required, "at most"
    else:
        required_, word = required, "at least"
    if low >= required_:
        return Verdict("pass", "passed", f"{shown}, {word} {required:g} required")
    if high < required_:
        return Verdict(
            "fail", "score_missed", f"{shown}, {word} {required:g} required; use a better model or prompt"
        )
    return Verdict(
        "inconclusive",
        "score_undecided",
        f"{shown}: the interval contains the required {required:g}; evaluate more rows or change the requirement",
    )


def judge_comparison(comparison: Comparison, scale: float, run: str) -> Verdict:
    """Compare the difference to a reference run with the margin."""
    shown = (
        f"{comparison.difference * scale:+.2f} [{comparison.low * scale:+.2f}, {comparison.high * scale:+.2f}] against "
        f"{run}, margin {comparison.margin * scale:g}"
    )
    if comparison.verdict == "pass":
        return Verdict("pass", "passed", shown)
    if comparison.verdict == "fail":
        return Verdict(
            "fail", "worse_than_reference", f"{shown}: worse by more than that; see results/ for the samples"
        )
    return Verdict(
        "inconclusive", "reference_undecided", f"{shown}: the interval contains it; evaluate more rows"
    )
