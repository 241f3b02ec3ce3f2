"""The summary of acceleration cases: a row per difficulty and level, what was measured in a few words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.acceleration.case import DIFFICULTIES, LEVELS
from bench.acceleration.record import AccelerationBody
from bench.core.kind import Finish, Section
from bench.core.record import Json, Record
from bench.report.results import control_note, count_verdicts

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
    notes = [*control_note(finish.records), *unread_note(finish.records)]
    return Section("acceleration", [GROUP_HEADER, *group_rows(finish.records)], notes)


def unread_note(records: Iterable[Record]) -> list[str]:
    """Return the sentence about demands that nobody has understood, in a list; empty when there are none."""
    unread = [(record.id, text) for record in records for text in record.body.unread_demands]
    if not unread:
        return []
    identity, text = unread[0]
    return [f"unread demands: {len(unread)}, such as {text!r} of {identity}; they were not judged"]


def group_rows(records: Iterable[Record]) -> list[tuple[str, ...]]:
    """Return a row per difficulty, per level and for all tasks; controls are not among them."""
    tasks = [record for record in records if record.control is None]
    groups = [(name, [record for record in tasks if record.difficulty == name]) for name in DIFFICULTIES]
    groups += [(name, [record for record in tasks if record.level == name]) for name in LEVELS]
    groups.append(("all", tasks))
    return [_group_row(name, members) for name, members in groups if members]


def _group_row(name: str, records: Sequence[Record]) -> tuple[str, ...]:
    counts = count_verdicts(records)
    rate = counts["pass_rate"]
    achieved = mean_achievement(record for record in records if record.difficulty == "hard")
    return (
        name,
        str(counts["total"]),
        str(counts["passed"]),
        "-" if rate is None else f"{100 * rate:.0f} %",
        str(counts["failed"]),
        str(counts["inconclusive"]),
        str(counts["errors"]),
        str(counts["skipped"]),
        "-" if achieved is None else f"{achieved:.2f}",
    )


def headline(record: Record) -> str:
    """Return speedup and quality loss, as far as they were measured; of a compiled candidate also what that costs first."""
    body: AccelerationBody = record.body
    speedup, loss = body.speedup, body.quality.loss
    parts = []
    if speedup.value is not None:
        parts.append(f"{speedup.value:.2f}x [{speedup.low:.2f}, {speedup.high:.2f}]")
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

    ``achievement_rate`` is the mean over hard tasks with a requirement.
    """
    records = [record for record in records if record.control is None]
    return {
        "hard": {
            "total": sum(record.difficulty == "hard" for record in records),
            "achievement_rate": mean_achievement(records),
        },
        "levels": {
            level: {
                "total": sum(record.level == level for record in records),
                "passed": sum(record.level == level and record.verdict == "pass" for record in records),
            }
            for level in LEVELS
        },
    }


def mean_achievement(records: Iterable[Record]) -> float | None:
    """Return the mean achievement rate of the records that have one, or None."""
    rates = [record.achievement_rate for record in records if record.achievement_rate is not None]
    return sum(rates) / len(rates) if rates else None
