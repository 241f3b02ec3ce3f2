"""The tables of a finished run: a section per kind, a row per case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from bench.core.kind import Finish, Kind
from bench.core.record import Record

CASE_HEADER = ("case", "verdict", "measured", "reason")


def finished_kinds(
    records: Iterable[Record], kinds: Mapping[str, Kind], finish: Callable[[Kind, Sequence[Record]], Finish]
) -> list[tuple[Kind, Finish]]:
    """Return each kind that has records, with what it is told at the end, in the order of the records."""
    of_kind: dict[str, list[Record]] = {}
    for record in records:
        of_kind.setdefault(record.kind, []).append(record)
    return [(kinds[name], finish(kinds[name], members)) for name, members in of_kind.items()]


def figures(record: Record) -> str:
    """Return what was measured, and the reason code unless it passed, in a few words."""
    parts = [record.headline]
    if record.reason_code != "passed":
        found = record.control.reason_code if record.control is not None else None
        parts.append(found or record.reason_code)
    return ", ".join(part for part in parts if part)


def case_row(record: Record) -> tuple[str, ...]:
    """Return id, verdict, what was measured and reason of one record."""
    return (record.id, record.verdict, record.headline or "-", record.reason)
