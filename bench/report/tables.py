"""Rows of the summary tables, the same for the terminal and for Markdown."""

from __future__ import annotations

from typing import Any

from bench.case import DIFFICULTIES, LEVELS
from bench.report.results import count_verdicts, mean_achievement

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


def group_rows(records: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return a row per difficulty, per level and for all tasks; controls are not among them."""
    tasks = [record for record in records if record["control"] is None]
    groups = [(name, [record for record in tasks if record["difficulty"] == name]) for name in DIFFICULTIES]
    groups += [(name, [record for record in tasks if record["level"] == name]) for name in LEVELS]
    groups.append(("all", tasks))
    return [_group_row(name, members) for name, members in groups if members]


def _group_row(name: str, records: list[dict[str, Any]]) -> tuple[str, ...]:
    counts = count_verdicts(records)
    rate = counts["pass_rate"]
    achievement = mean_achievement(record for record in records if record["difficulty"] == "hard")
    return (
        name,
        str(counts["total"]),
        str(counts["passed"]),
        "-" if rate is None else f"{100 * rate:.0f} %",
        str(counts["failed"]),
        str(counts["inconclusive"]),
        str(counts["errors"]),
        str(counts["skipped"]),
        "-" if achievement is None else f"{achievement:.2f}",
    )


def control_line(summary: dict[str, Any]) -> str | None:
    """Return the sentence about controls, or None when there are none."""
    controls = summary["controls"]
    if not controls["total"]:
        return None
    return f"controls: {controls['rejected']} of {controls['total']} rejected for the reason they were written for"


def case_row(record: dict[str, Any]) -> tuple[str, ...]:
    """Return id, verdict, speedup, requirement, loss and reason of one record."""
    speedup, quality = record["speedup"], record["quality"]
    return (
        record["id"],
        record["verdict"],
        "-"
        if speedup["value"] is None
        else f"{speedup['value']:.2f}x [{speedup['low']:.2f}, {speedup['high']:.2f}]",
        "-" if speedup["required"] is None else f"{speedup['required']:g}x",
        "-" if quality["loss"] is None else f"{100 * quality['loss']:.1f} %",
        record["reason"],
    )


CASE_HEADER = ("case", "verdict", "speedup [interval]", "required", "quality loss", "reason")
