"""The gates of an acceleration case: from numbers and their intervals to verdicts. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.core.case import AccelerationCase
from bench.core.record import Verdict
from bench.statistics.paired_times import Interval

SUSPICIOUS_SPEEDUP = 10.0


def judge_configuration(mismatches: Sequence[dict]) -> Verdict:
    """Pass when the candidate's configuration equals the target's; a fail lists each field with both values."""
    if not mismatches:
        return Verdict("pass", "passed", "configuration equals the target's")
    fields = "; ".join(
        f"{entry['field']}: target {entry['target']!r}, candidate {entry['candidate']!r}"
        for entry in mismatches
    )
    return Verdict(
        "fail", "config_mismatch", f"configuration differs from the target's: {fields}; align the candidate"
    )


def judge_images(problems: Sequence[str]) -> Verdict:
    """Pass when nothing is wrong with the candidate's images themselves."""
    if not problems:
        return Verdict("pass", "passed", "")
    return Verdict("fail", "degenerate_output", f"{problems[0]}; look at what the candidate returns")


def judge_quality(loss: Interval, allowed: float) -> Verdict:
    """Compare the interval of the quality loss with the allowance; both are fractions."""
    found = f"quality loss {percent(loss.value)} [{percent(loss.low)}, {percent(loss.high)}]"
    if loss.high < allowed:
        return Verdict("pass", "passed", f"{found} is within {percent(allowed)}")
    if loss.low > allowed:
        return Verdict(
            "fail",
            "quality_lost",
            f"{found} is above the allowed {percent(allowed)}; accelerate less aggressively",
        )
    return Verdict(
        "inconclusive",
        "quality_undecided",
        f"inconclusive: {found} contains the allowed {percent(allowed)}; raise --num-samples",
    )


def judge_speedup(speedup: Interval, required: float | None, rounds: int) -> Verdict:
    """Compare the interval of the speedup with the requirement; without one it is only reported."""
    found = f"speedup {speedup.value:.2f}x [{speedup.low:.2f}, {speedup.high:.2f}]"
    if required is None:
        return Verdict("pass", "passed", f"{found}, not gated")
    if speedup.low >= required:
        return Verdict("pass", "passed", f"{found} reaches {required:g}x")
    if speedup.high < required:
        return Verdict(
            "fail",
            "speedup_missed",
            f"{found} misses the required {required:g}x; the candidate must be faster",
        )
    return Verdict(
        "inconclusive",
        "speedup_undecided",
        f"inconclusive: {found} contains the required {required:g}x after {rounds} rounds; "
        "raise --time-budget and --max-rounds, or use --exclusive on a quiet machine",
    )


def judge_latency(latency: Interval | None, allowed_s: float | None, rounds: int) -> Verdict:
    """Compare the interval of the seconds per image with the limit; without one nothing is said."""
    if allowed_s is None or latency is None:
        return Verdict("pass", "passed", "")
    found = f"latency {latency.value:.3f} s [{latency.low:.3f}, {latency.high:.3f}] per image"
    if latency.high <= allowed_s:
        return Verdict("pass", "passed", f"{found} is within {allowed_s:g} s")
    if latency.low > allowed_s:
        return Verdict(
            "fail",
            "latency_missed",
            f"{found} is above the allowed {allowed_s:g} s; the candidate must be faster",
        )
    return Verdict(
        "inconclusive",
        "latency_undecided",
        f"inconclusive: {found} contains the allowed {allowed_s:g} s after {rounds} rounds; raise --time-budget",
    )


def judge_too_few_rounds(case: AccelerationCase, rounds: int, least: int) -> tuple[Verdict, Verdict]:
    """Return the verdicts on latency and speedup when the budget left too few rounds for an interval."""
    reason = (
        f"inconclusive: only {rounds} timed rounds fitted into the budget, at least {least} are needed; "
        "raise --time-budget and --max-rounds"
    )
    unmeasured = Verdict("pass", "passed", "")
    return (
        unmeasured if case.max_latency_s is None else Verdict("inconclusive", "latency_undecided", reason),
        unmeasured if case.required_speedup is None else Verdict("inconclusive", "speedup_undecided", reason),
    )


def achievement(
    case: AccelerationCase, gates_hold: bool, speedup: float | None
) -> tuple[float | None, float | None]:
    """Return ``(rate, ratio)`` of a hard task with a requirement, else ``(None, None)``.

    The rate is 0 unless configuration and quality hold, otherwise speedup over required speedup, at most
    1; the ratio is the same uncapped, None where no speedup was measured.
    """
    if case.difficulty != "hard" or case.required_speedup is None or case.is_control:
        return None, None
    ratio = None if speedup is None else speedup / case.required_speedup
    if not gates_hold or ratio is None:
        return 0.0, ratio
    return min(1.0, ratio), ratio


def point_estimate(
    case: AccelerationCase, speedup: float | None, loss: float | None, latency_s: float | None
) -> dict[str, Any]:
    """Return the verdicts that the bare numbers would give, as papers report them, without intervals."""
    checks = {
        "quality": None if loss is None else loss <= case.max_quality_loss,
        "speedup": None
        if case.required_speedup is None or speedup is None
        else speedup >= case.required_speedup,
        "latency": None
        if case.max_latency_s is None or latency_s is None
        else latency_s <= case.max_latency_s,
    }
    decided = [value for value in checks.values() if value is not None]
    verdict = None if not decided else "pass" if all(decided) else "fail"
    return {**checks, "verdict": verdict}


def percent(fraction: float) -> str:
    """Format a fraction as percent with one decimal: 0.0123 is ``1.2 %``, and never ``-0.0 %``."""
    return f"{100 * fraction:z.1f} %"
