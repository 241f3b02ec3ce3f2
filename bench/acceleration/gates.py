"""The gates of an acceleration case: from estimates to verdicts. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.acceleration.case import AccelerationCase
from bench.acceleration.comparison import Mismatch
from bench.acceleration.evidence import Evidence
from bench.acceleration.protocol.messages import GpuMemory
from bench.acceleration.record import PointEstimate
from bench.core.estimate import Estimate
from bench.core.gate import Limit, gate
from bench.core.names import counted
from bench.core.verdict import PASSED, Verdict

SUSPICIOUS_SPEEDUP = 10.0


def judge_configuration(mismatches: Sequence[Mismatch], free: Sequence[Mismatch] = ()) -> Verdict:
    """Pass when the candidate's configuration equals the target's; a fail lists each field with both values.

    Args:
        mismatches: what must not differ.
        free: what may.
    """
    if not mismatches:
        but_for = f" but for what is free ({', '.join(entry.field for entry in free)})" if free else ""
        return Verdict("pass", "passed", f"configuration equals the target's{but_for}")
    fields = "; ".join(map(str, mismatches))
    return Verdict(
        "fail", "config_mismatch", f"configuration differs from the target's: {fields}; align the candidate"
    )


def judge_images(problems: Sequence[str]) -> Verdict:
    """Pass when nothing is wrong with the candidate's images or videos themselves."""
    if not problems:
        return PASSED
    return Verdict("fail", "degenerate_output", f"{problems[0]}; look at what the candidate returns")


def judge_quality(loss: Estimate, allowed: float) -> Verdict:
    """Compare the quality loss with the allowance; both are fractions, and the allowance itself is too much."""
    limit = Limit(
        bound=allowed,
        at_most=True,
        strict=True,
        missed="quality_lost",
        undecided="quality_undecided",
        advice="accelerate less aggressively",
        more="raise --num-samples",
    )
    found = f"quality loss {percent(loss.value)} [{percent(loss.low)}, {percent(loss.high)}]"
    return _worded(
        gate(loss, limit),
        limit,
        passed=f"{found} is within {percent(allowed)}",
        missed=f"{found} is above the allowed {percent(allowed)}",
        undecided=f"{found} contains the allowed {percent(allowed)}",
    )


def judge_speedup(speedup: Estimate, required: float | None, evidence: Evidence) -> Verdict:
    """Compare the speedup with the requirement, which is reached at its exact value; without one it is reported."""
    found = f"speedup {speedup.value:.2f}x [{speedup.low:.2f}, {speedup.high:.2f}] over {evidence.text()}"
    if required is None:
        return gate(speedup, None, shown=f"{found}, not gated")
    limit = Limit(
        bound=required,
        missed="speedup_missed",
        undecided="speedup_undecided",
        advice="the candidate must be faster",
        more=evidence.advice(speedup, required),
    )
    return _worded(
        gate(speedup, limit),
        limit,
        passed=f"{found} reaches {required:g}x",
        missed=f"{found} misses the required {required:g}x",
        undecided=f"{found} contains the required {required:g}x",
    )


def judge_latency(
    latency: Estimate, allowed_s: float | None, evidence: Evidence, per: str = "image"
) -> Verdict:
    """Compare the seconds per image or video with the limit, which is kept at its exact value.

    Without a limit nothing is said.
    """
    if allowed_s is None:
        return PASSED
    limit = Limit(
        bound=allowed_s,
        at_most=True,
        missed="latency_missed",
        undecided="latency_undecided",
        advice="the candidate must be faster",
        more=evidence.advice(latency, allowed_s),
    )
    found = f"latency {latency.value:.3f} s [{latency.low:.3f}, {latency.high:.3f}] per {per} over {evidence.text()}"
    return _worded(
        gate(latency, limit),
        limit,
        passed=f"{found} is within {allowed_s:g} s",
        missed=f"{found} is above the allowed {allowed_s:g} s",
        undecided=f"{found} contains the allowed {allowed_s:g} s",
    )


def gpu_bytes_needed(memory: GpuMemory) -> int | None:
    """Return how much of its GPU an arm takes; None where neither its torch nor the driver says.

    What torch reserves and not what its tensors fill: it is what the card must have free. The driver counts what torch does
    not, such as another library's, and an arm cannot forge it, so the larger of the two counts.
    """
    said = (memory.reserved_bytes, memory.driver_bytes)
    return max((value for value in said if value is not None), default=None)


def judge_memory(
    peak: Estimate | None, allowed_bytes: int | None, advice: str = "measure more launches"
) -> Verdict:
    """Compare the candidate's peak of memory with the limit, kept at its exact value; without a limit nothing is said.

    Args:
        peak: in bytes, over launches; None where it could not be read.
        allowed_bytes: the limit.
        advice: what to do where it is undecided.
    """
    if allowed_bytes is None:
        return PASSED
    if peak is None or peak.value is None or peak.low is None or peak.high is None:
        return Verdict(
            "inconclusive",
            "memory_undecided",
            "inconclusive: the peak of memory could not be read; see the arm's log",
        )
    limit = Limit(
        bound=allowed_bytes,
        at_most=True,
        missed="memory_missed",
        undecided="memory_undecided",
        advice="the candidate must use less",
        more=advice,
    )
    low, value, high = (f"{bytes_ / 1e9:.3g}" for bytes_ in (peak.low, peak.value, peak.high))
    found = f"peak memory {value} GB [{low}, {high}] over {counted(peak.n or 0, 'launch', 'launches')}"
    allowed = f"{allowed_bytes / 1e9:g} GB"
    return _worded(
        gate(peak, limit),
        limit,
        passed=f"{found} is within {allowed}",
        missed=f"{found} is above the allowed {allowed}",
        undecided=f"{found} contains the allowed {allowed}",
    )


def _worded(verdict: Verdict, limit: Limit, *, passed: str, missed: str, undecided: str) -> Verdict:
    """Return a verdict in the words of its gate, with what to do unless it passed."""
    reasons = {
        "pass": passed,
        "fail": f"{missed}; {limit.advice}",
        "inconclusive": f"inconclusive: {undecided}; {limit.more}",
    }
    return replace(verdict, reason=reasons[verdict.verdict])


def judge_next_to(load: float | None, allowed: float, verdict: Verdict) -> Verdict:
    """Return a verdict on speed, undecided when other processes used more of the leased cores than is allowed.

    Args:
        load: their share of the cores' time during the rounds, or None where it is not known.
        allowed: what they may use.
        verdict: by the interval.
    """
    if load is None or load <= allowed or verdict.verdict not in ("pass", "fail"):
        return verdict
    return Verdict(
        "inconclusive",
        "foreign_load",
        f"inconclusive: {verdict.reason.partition(';')[0]}, but other processes used {percent(load)} of the leased cores "
        f"while it was timed, above the allowed {percent(allowed)}; stop the other work, use --exclusive, or raise "
        "--max-foreign-load",
    )


def judge_too_few_rounds(case: AccelerationCase, rounds: int, least: int) -> tuple[Verdict, Verdict]:
    """Return the verdicts on latency and speedup when the budget left too few rounds for an interval."""
    reason = (
        f"inconclusive: only {rounds} timed rounds fitted into the budget, at least {least} are needed; "
        "raise --time-budget and --max-rounds"
    )
    return (
        PASSED if case.max_latency_s is None else Verdict("inconclusive", "latency_undecided", reason),
        PASSED if case.required_speedup is None else Verdict("inconclusive", "speedup_undecided", reason),
    )


def achievement(
    case: AccelerationCase, gates_hold: bool, speedup: float | None
) -> tuple[float | None, float | None]:
    """Return ``(rate, ratio)`` of a hard task with a requirement, else ``(None, None)``.

    The rate is 0 unless configuration and quality hold, otherwise speedup over required speedup, at most
    1; the ratio is the same without the cap, None where no speedup was measured.
    """
    if case.difficulty != "hard" or case.required_speedup is None or case.is_control:
        return None, None
    ratio = None if speedup is None else speedup / case.required_speedup
    if not gates_hold or ratio is None:
        return 0.0, ratio
    return min(1.0, ratio), ratio


def point_estimate(
    case: AccelerationCase, speedup: float | None, loss: float | None, latency_s: float | None
) -> PointEstimate:
    """Return the verdicts that the bare values would give, as papers report them, without intervals."""
    found = PointEstimate(
        quality=None if loss is None else loss <= case.max_quality_loss,
        speedup=None
        if case.required_speedup is None or speedup is None
        else speedup >= case.required_speedup,
        latency=None if case.max_latency_s is None or latency_s is None else latency_s <= case.max_latency_s,
    )
    decided = [value for value in (found.quality, found.speedup, found.latency) if value is not None]
    if decided:
        found.verdict = "pass" if all(decided) else "fail"
    return found


def percent(fraction: float | None) -> str:
    """Format a fraction as percent with one decimal: 0.0123 is ``1.2 %``, and never ``-0.0 %``."""
    return "-" if fraction is None else f"{100 * fraction:z.1f} %"
