"""The summary of acceleration cases: a row per difficulty and level, what was measured in a few words."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

import msgspec

from bench.acceleration.case import DIFFICULTIES, LEVELS
from bench.acceleration.record import AccelerationBody
from bench.acceleration.times import NullLaunch, Times
from bench.core.estimate import PERCENT, Estimate
from bench.core.kind import Finish, Section
from bench.core.record import Json, Record
from bench.report.results import control_note, count_verdicts
from bench.statistics.proportion import wilson_interval

GROUP_HEADER = (
    "group",
    "total",
    "passed",
    "pass rate",
    "failed",
    "inconclusive",
    "errors",
    "skipped",
    "achievement",
)
CASE_HEADER = ("case", "verdict", "speedup", "least", "quality loss", "most")
PROPERTIES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("speedup", ("speedup", "value")),
    ("speedup_low", ("speedup", "low")),
    ("speedup_high", ("speedup", "high")),
    ("required_speedup", ("speedup", "required")),
    ("quality_loss", ("quality", "loss")),
    ("quality_loss_high", ("quality", "high")),
    ("latency_s", ("latency", "value")),
    ("first_call_s", ("times", "first_call_s", "candidate")),
    ("compile_s", ("times", "compile_s", "candidate")),
    ("step_s", ("times", "step_s", "candidate")),
    ("unread_demands", ("unread_demands",)),
)
"""JUnit properties, each with its path in a record."""


def table(finish: Finish) -> Section:
    """Return the section of the summary: groups of tasks, and a sentence about controls."""
    notes = [
        *control_note(finish.records),
        *null_note(finish.records),
        *unread_note(finish.records),
        *isolation_note(finish.records),
        *null_band_note(finish.records),
    ]
    cases = [CASE_HEADER, *map(case_row, sorted(finish.records, key=_first_what_failed))]
    return Section("acceleration", [GROUP_HEADER, *group_rows(finish.records)], notes, cases)


def _first_what_failed(record: Record) -> bool:
    return record.verdict in ("pass", "skip")


def case_row(record: Record) -> tuple[str, ...]:
    """Return a case's line: speedup and loss with their intervals, each next to its limit."""
    body: AccelerationBody = record.body
    speedup, quality = body.speedup, body.quality
    return (
        record.id,
        record.verdict if record.verdict != "inconclusive" else "open",
        speedup.text() or "-",
        "-" if speedup.required is None else f"{speedup.required:g}x",
        "-"
        if quality.loss is None
        else f"{100 * quality.loss:.1f} % [{100 * (quality.low or 0):.1f}, {100 * (quality.high or 0):.1f}]",
        "-" if quality.allowed is None else f"{100 * quality.allowed:.3g} %",
    )


def null_launches(records: Iterable[Record]) -> list[NullLaunch]:
    """Return the launches of a baseline against itself that this run measured: one, or one for each sort of device."""
    found: dict[str, NullLaunch] = {}
    for record in records:
        times: Times | None = record.body.times
        if record.reused is None and times is not None and times.null is not None:
            found.setdefault(times.null.of, times.null)
    return list(found.values())


def run_facts(records: Sequence[Record]) -> Json:
    """Return what was measured once for all cases, as a key of ``run``; nothing where nothing was."""
    found = null_launches(records)
    return {"null_launches": msgspec.to_builtins(found)} if found else {}


def null_note(records: Iterable[Record]) -> list[str]:
    """Return the sentence about launches of one pipeline against itself, in a list; empty when there are none."""
    return [f"A/A launch: {_null_text(null)}" for null in null_launches(records)]


def _null_text(null: NullLaunch) -> str:
    what = f"the baseline of {null.of} against itself"
    if null.problem is not None:
        return f"{what} could not be measured: {null.problem}"
    ratios = [entry.baseline_s / entry.candidate_s for entry in null.rounds]
    if len(ratios) < 2:
        return f"{what} was cut short"
    logs = [math.log(ratio) for ratio in ratios]
    return (
        f"{what} has a speedup of {math.exp(statistics.median(logs)):.3f} over {len(ratios)} rounds that scatter by "
        f"{100 * statistics.stdev(logs):.1f} %"
    )


def unread_note(records: Iterable[Record]) -> list[str]:
    """Return the sentence about demands that nobody has understood, in a list; empty when there are none."""
    unread = [(record.id, text) for record in records for text in record.body.unread_demands]
    if not unread:
        return []
    identity, text = unread[0]
    return [f"unread demands: {len(unread)}, such as {text!r} of {identity}; they were not judged"]


def isolation_note(records: Iterable[Record]) -> list[str]:
    """Return what is missing of the candidates' jail, a sentence for each way of it; empty where all were in a whole one."""
    missing: dict[str, str] = {}
    without: set[str] = set()
    for record in records:
        if record.body.isolation is not None:
            missing |= record.body.isolation.missing
            without |= {record.body.isolation.mode} - {"jail"}
    notes = [
        f"candidates ran without a jail (--isolation {mode}): they could do all that you can do"
        for mode in sorted(without)
    ]
    if missing:
        named = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
        notes.append(f"layers of the candidates' jail that this system refused: {named}")
    return notes


def null_band_note(records: Iterable[Record]) -> list[str]:
    """Return the sentence about the widest null band of the run, in a list; empty where none was measured."""
    bands = [band for record in records if (band := record.body.null_band) is not None and band.images]
    if not bands:
        return []
    lows = [band.metrics["ssim"].worst for band in bands if "ssim" in band.metrics]
    grey = max((band.grey_levels for band in bands if band.grey_levels is not None), default=0.0)
    how = ", ".join(dict.fromkeys(name for band in bands for name in band.perturbations))
    ssim = f", ssim {min(low for low in lows if low is not None):.4f}" if lows else ""
    return [
        f"null band, the baselines against themselves under other {how}: at most {grey:.2f} grey levels{ssim}"
    ]


def group_rows(records: Iterable[Record]) -> list[tuple[str, ...]]:
    """Return a row per difficulty, per level and for all tasks; controls are not among them."""
    tasks = [record for record in records if record.control is None]
    groups = [(name, [record for record in tasks if record.difficulty == name]) for name in DIFFICULTIES]
    groups += [(name, [record for record in tasks if record.level == name]) for name in LEVELS]
    groups.append(("all", tasks))
    return [_group_row(name, members) for name, members in groups if members]


def _group_row(name: str, records: Sequence[Record]) -> tuple[str, ...]:
    counts = count_verdicts(records)
    achieved = mean_achievement(record for record in records if record.difficulty == "hard")
    return (
        name,
        str(counts["total"]),
        str(counts["passed"]),
        _shown(pass_rate(records).scaled(100, PERCENT), 0),
        str(counts["failed"]),
        str(counts["inconclusive"]),
        str(counts["errors"]),
        str(counts["skipped"]),
        _shown(achieved, 2),
    )


def _shown(estimate: Estimate, digits: int) -> str:
    """Return a value with its unit and its interval, as the table shows them."""
    if estimate.value is None:
        return "-"
    unit = f" {estimate.unit}" if estimate.unit else ""
    return f"{estimate.value:.{digits}f}{unit} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def headline(record: Record) -> str:
    """Return speedup and quality loss, as far as they were measured; of a compiled candidate also what that costs first."""
    body: AccelerationBody = record.body
    speedup, loss = body.speedup, body.quality.loss
    parts = []
    if speedup.value is not None:
        parts.append(speedup.text())
    if loss is not None:
        parts.append(f"loss {100 * loss:.1f} %")
    parts += _warm_and_first(body)
    return ", ".join(parts)


def _warm_and_first(body: AccelerationBody) -> list[str]:
    """Return the warm latency of a compiled candidate next to its first call, in a list; empty for any other."""
    times, warm = body.times, body.latency.value
    compiling = None if times is None else times.compile_s.get("candidate")
    if times is None or compiling is None or warm is None:
        return []
    first = times.first_call_s.get("candidate") or 0.0
    return [f"{warm:.3g} s per image, the first call {first:.1f} s, {compiling:.1f} s of compiling"]


def summarize(records: Sequence[Record]) -> Json:
    """Return what the summary of the results says of hard tasks and of levels; controls are not among them.

    ``achievement_rate`` is the mean over hard tasks with a requirement. Ends of intervals are ``low`` and ``high``.
    """
    records = [record for record in records if record.control is None]
    hard = [record for record in records if record.difficulty == "hard"]
    achieved = mean_achievement(records)
    return {
        "hard": {
            **_counted(hard),
            "achievement_rate": achieved.value,
            "achievement_low": achieved.low,
            "achievement_high": achieved.high,
        },
        "levels": {
            level: _counted([record for record in records if record.level == level]) for level in LEVELS
        },
        "every_level": _counted(records),
    }


def _counted(records: Sequence[Record]) -> Json:
    rate = pass_rate(records)
    passed = sum(record.verdict == "pass" for record in records)
    return {
        "total": len(records), "passed": passed, "pass_rate": rate.value, "low": rate.low, "high": rate.high,
    }  # fmt: skip


def pass_rate(records: Sequence[Record]) -> Estimate:
    """Return the share of tasks that passed, skipped ones left out, with Wilson's interval."""
    decided = [record for record in records if record.verdict != "skip"]
    return _mean("pass_rate", [float(record.verdict == "pass") for record in decided])


def mean_achievement(records: Iterable[Record]) -> Estimate:
    """Return the mean achievement rate of the records that have one.

    A rate is from 0 to 1, so Wilson's interval of a share is on the safe side.
    """
    rates = [record.achievement_rate for record in records if record.achievement_rate is not None]
    return _mean("achievement_rate", rates)


def _mean(metric: str, values: Sequence[float]) -> Estimate:
    if not values:
        return Estimate(metric=metric, n=0, reason="no task has a value")
    total = math.fsum(values)
    low, high = wilson_interval(total, len(values))
    return Estimate(metric=metric, value=total / len(values), low=low, high=high, n=len(values))
