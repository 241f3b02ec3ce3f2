"""What the terminal shows after a run."""

from __future__ import annotations

from typing import Any

import pytest

from bench.report.layout import aligned
from bench.report.results import ResultsFile
from bench.report.tables import sections


def write_summary(terminal: pytest.TerminalReporter, results: ResultsFile) -> None:
    """Write a table per kind of case, and where the JSON is."""
    records = results.ordered()
    for section in sections(records, results.groups):
        terminal.section(f"modelgate: {section.kind}")
        for line in [*aligned(section.rows), *section.notes]:
            terminal.write_line(line)
    unrun = sum(record["reason_code"] == "not_run" for record in records)
    if unrun:
        terminal.write_line(f"{unrun} collected cases were not run; they are errors of the results", red=True)
    for warning in warnings(records):
        terminal.write_line(f"warning: {warning}", yellow=True)
    terminal.write_line(f"results: {results.path}")


def warnings(records: list[dict[str, Any]]) -> list[str]:
    """Return the warnings of the records, each with its case."""
    return [f"{record['id']}: {text}" for record in records for text in record["warnings"]]
