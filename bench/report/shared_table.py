"""The table that people paste into a pull request: a row for each case, chosen columns, intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.core.errors import UsageProblem
from bench.core.estimate import Estimate
from bench.core.kind import Kind
from bench.core.page import PageRequest
from bench.core.record import Record
from bench.report.html.words import GLYPHS, estimate_text, number, verdict_words
from bench.report.layout import table
from bench.report.runs import StoredRun
from bench.report.size import COMMENT_BYTES, TitledTable, fitted

ALL = "all"
Values = Mapping[str, Estimate]


def shared_table(
    run: StoredRun,
    kinds: Mapping[str, Kind],
    *,
    columns: Sequence[str] = (),
    cases: Sequence[str] = (),
    controls: bool = False,
    intervals: bool = True,
    limit: int = COMMENT_BYTES,
) -> str:
    """Return the table as Markdown.

    Args:
        run: whose cases.
        kinds: by name.
        columns: names; empty takes those that a kind shows, `all` every one.
        cases: parts of ids; empty takes all.
        controls: whether controls are in it.
        intervals: whether values have theirs.
        limit: bytes at most; rows that do not fit are counted.

    Raises:
        UsageProblem: a column that no case has, or no case at all.
    """
    records = [
        record
        for record in run.ordered
        if (controls or record.control is None) and (not cases or any(part in record.id for part in cases))
    ]
    if not records:
        raise UsageProblem(
            f"found no case{' whose id holds ' + ' or '.join(cases) if cases else ''} among {len(run.records)}, expected "
            "some; correct --cases, or add --controls"
        )
    columns = [ALL if column.lower() == ALL else column for column in columns]
    tables: list[TitledTable] = []
    known: dict[str, None] = {}
    for name in dict.fromkeys(record.kind for record in records):
        members = [record for record in records if record.kind == name]
        values = [_values(kinds[name], PageRequest(run.directory, members), record) for record in members]
        found = list(dict.fromkeys(column for of_case in values for column in of_case))
        known |= dict.fromkeys(found)
        wanted = _wanted(kinds[name], found, columns)
        if wanted:
            header = ("case", "verdict", *(_title(column, values) for column in wanted))
            rows = [
                (record.id, _verdict(record), *(_cell(of_case.get(column), intervals) for column in wanted))
                for record, of_case in zip(members, values, strict=True)
            ]
            tables.append((f"### {name}", header, rows))
    unknown = [column for column in columns if column != ALL and column.lower() not in map(str.lower, known)]
    if unknown:
        raise UsageProblem(
            f"--columns {unknown[0]}: no case has it; expected some of {', '.join(known) or 'none'}, or {ALL}; correct the "
            "name"
        )
    environment = run.run.get("environment") or {}
    made = f"Modelgate {environment.get('modelgate') or '?'}, run {run.name}, {environment.get('cpu') or 'unknown machine'}"
    words = (
        "Speedups are ratios of wall time, of paired rounds. "
        if any("speedup" in column for column in known)
        else ""
    )
    foot = f"{words}Brackets hold 95 % intervals. {made}." if intervals else f"{words}{made}."
    return fitted([], tables, [foot], table, limit)


def _values(kind: Kind, request: PageRequest, record: Record) -> Values:
    if kind.columns is not None:
        return kind.columns(request, record)
    return {**kind.compared(record), **(record.metrics or {})}


def _wanted(kind: Kind, found: Sequence[str], asked: Sequence[str]) -> list[str]:
    if ALL in asked:
        return list(found)
    if asked:
        lower = {column.lower(): column for column in found}
        return [lower[column.lower()] for column in asked if column.lower() in lower]
    shown = [column for column in kind.shown_columns if column in found]
    return shown or list(found)[:6]


def _title(column: str, values: Sequence[Values]) -> str:
    """Return the name of a column, and which side is better."""
    estimate = next(of_case[column] for of_case in values if column in of_case)
    return f"{column} {'↑' if estimate.higher_is_better else '↓'}"


def _verdict(record: Record) -> str:
    return f"{GLYPHS[record.verdict]} {verdict_words(record)}"


def _cell(estimate: Estimate | None, intervals: bool) -> str:
    if estimate is None:
        return "–"
    return estimate_text(estimate) if intervals else number(estimate.value, estimate.unit)
