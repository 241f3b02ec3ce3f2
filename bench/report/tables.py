"""Rows of the summary tables, the same for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.core.case import DIFFICULTIES, LEVELS
from bench.language.report import DEFAULT_GROUPS, Group, language_rows
from bench.report.figures import measured
from bench.report.metric_table import tuning_rows
from bench.report.results import count_verdicts, mean_achievement, summarize

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


@dataclass(frozen=True)
class Section:
    """A table with the sentences below it.

    Attributes:
        kind: of the cases in it.
        rows: the header and the rows.
        notes: sentences.
    """

    kind: str
    rows: list[tuple[str, ...]]
    notes: list[str] = field(default_factory=list)


def sections(records: list[dict[str, Any]], groups: Sequence[Group] = DEFAULT_GROUPS) -> list[Section]:
    """Return a section per kind of case in the run; ``groups`` are those of the language table."""
    of_kind: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        of_kind.setdefault(record["kind"], []).append(record)
    return [_SECTIONS[kind](members, groups) for kind, members in of_kind.items()]


def _acceleration_section(records: list[dict[str, Any]], _: Sequence[Group]) -> Section:
    controls = control_line(summarize(records))
    return Section("acceleration", [GROUP_HEADER, *group_rows(records)], [controls] if controls else [])


def _language_section(records: list[dict[str, Any]], groups: Sequence[Group]) -> Section:
    data = sorted({record["data"] for record in records if record["data"]})
    notes = [f"rows: {', '.join(data)}"] if data else []
    return Section("language", language_rows(records, groups), notes)


def _tuning_section(records: list[dict[str, Any]], _: Sequence[Group]) -> Section:
    controls = control_line(summarize(records))
    return Section(records[0]["kind"], tuning_rows(records), [controls] if controls else [])


_SECTIONS = {
    "acceleration": _acceleration_section,
    "language": _language_section,
    "regression": _tuning_section,
    "reranking": _tuning_section,
}


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
    """Return id, verdict, what was measured and reason of one record."""
    return (record["id"], record["verdict"], measured(record) or "-", record["reason"])


CASE_HEADER = ("case", "verdict", "measured", "reason")
