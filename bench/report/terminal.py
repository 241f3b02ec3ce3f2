"""What the terminal shows after a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from bench.core.kind import Section
from bench.core.record import Record
from bench.report.layout import aligned
from bench.report.results import ResultsFile

_ALIKE = 3


def write_summary(
    terminal: pytest.TerminalReporter, results: ResultsFile, sections: Iterable[Section]
) -> None:
    """Write a table per kind of case, and where the JSON is."""
    records = results.ordered()
    for section in sections:
        terminal.section(f"modelgate: {section.kind}")
        for line in [*aligned(section.rows), *section.notes]:
            terminal.write_line(line)
    unrun = sum(record.is_undecided for record in records)
    if unrun:
        terminal.write_line(f"{unrun} collected cases were not run; they are errors of the results", red=True)
    reused = [record.reused for record in records if record.reused is not None]
    for run in dict.fromkeys(reused):
        terminal.write_line(f"{reused.count(run)} of {len(records)} results taken over from run {run}")
    for warning in warnings(records):
        terminal.write_line(f"warning: {warning}", yellow=True)
    terminal.write_line(f"results: {results.path}")


def warnings(records: Sequence[Record]) -> list[str]:
    """Return the warnings of the records, each with its case; one that many cases have, once."""
    cases: dict[str, list[str]] = {}
    for record in records:
        for text in record.warnings:
            cases.setdefault(text, []).append(record.id)
    return [
        f"{case}: {text}"
        for text, having in cases.items()
        for case in (having if len(having) <= _ALIKE else [f"{having[0]} and {len(having) - 1} others"])
    ]
