"""What the terminal shows of a run besides pytest's own lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext

import pytest

from bench.core.kind import Section
from bench.core.record import Record
from bench.report.layout import aligned
from bench.report.results import ResultsFile


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
    for warning in warnings(records):
        terminal.write_line(f"warning: {warning}", yellow=True)
    terminal.write_line(f"results: {results.path}")


def show_line(config: pytest.Config, line: str) -> None:
    """Show a line immediately, from any thread and also while a test's output is captured, as pytest's live log does."""
    terminal = config.pluginmanager.getplugin("terminalreporter")
    if terminal is None:  # -p no:terminal
        return
    capture = config.pluginmanager.getplugin("capturemanager")
    with nullcontext() if capture is None else capture.global_and_fixture_disabled():
        terminal.ensure_newline()
        terminal.write(f"{line}\n", flush=True)  # in one piece: the main thread may write too


def warnings(records: Sequence[Record]) -> list[str]:
    """Return the warnings of the records, each with its case."""
    return [f"{record.id}: {text}" for record in records for text in record.warnings]
