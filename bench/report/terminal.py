"""What the terminal shows of a run besides pytest's own lines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from contextlib import nullcontext

import pytest
from _pytest._code.code import ReprEntryNative
from _pytest._io import TerminalWriter

from bench.core.kind import Section
from bench.core.record import Record
from bench.report.layout import folded, line_width, listed, prose
from bench.report.results import ResultsFile

_ALIKE = 3
MANY = 200
"""Cases of which each gets a line."""


def write_summary(
    terminal: pytest.TerminalReporter,
    results: ResultsFile,
    sections: Iterable[Section],
    drawn_seed: int | None = None,
) -> None:
    """Write a table per kind of case, the seed where the run has drawn one, and where the JSON is."""
    records = results.ordered()
    write_rejected(terminal, records)
    for section in sections:
        terminal.section(f"modelgate: {section.kind}")
        if 1 < len(section.cases) <= MANY:
            for line in [*listed(section.cases, line_width()), ""]:
                terminal.write_line(line)
        for line in folded(section.rows, line_width()):
            terminal.write_line(line)
        for note in section.notes:
            write_prose(terminal, note)
    if all_skipped(records):
        reasons = list(dict.fromkeys(record.reason for record in records))
        more = f" and {len(reasons) - 2} other reasons" if len(reasons) > 2 else ""
        write_prose(
            terminal,
            f"nothing was decided: {_counted(len(records))} skipped ({'; '.join(reasons[:2])}{more})",
            red=True,
        )
    unrun = sum(record.is_undecided for record in records)
    if unrun:
        write_prose(
            terminal, f"{unrun} collected cases were not run; they are errors of the results", red=True
        )
    reused = [record.reused for record in records if record.reused is not None]
    for run in dict.fromkeys(reused):
        write_prose(terminal, f"{reused.count(run)} of {len(records)} results taken over from run {run}")
    for warning in warnings(records):
        write_prose(terminal, f"warning: {warning}", yellow=True)
    if drawn_seed is not None:
        write_prose(terminal, f"seed: {drawn_seed}, drawn for this run; --seed {drawn_seed} repeats it")
    terminal.write_line(f"results: {results.path}")


def write_prose(terminal: pytest.TerminalReporter, text: str, **style: bool) -> None:
    """Write sentences that keep to the width of the terminal."""
    for line in prose(text):
        terminal.write_line(line, **style)


class _Sentences(str):
    """A reason without a place, which pytest writes in one line unless it is told how."""

    __slots__ = ()

    def toterminal(self, writer: TerminalWriter) -> None:
        for line in prose(self):
            writer.line(line)


def keep_to_width(terminal: pytest.TerminalReporter, report: pytest.TestReport, reason: str) -> None:
    """Let the reason of a failure keep to the width of the terminal there; in JUnit's file, for one, it is as it was.

    Args:
        terminal: the one on which pytest shows its failures.
        report: of a case, as the process that owns the run has it.
        reason: of its record.
    """
    if type(report.longrepr) is str:
        report.longrepr = _Sentences(report.longrepr)
        return
    entries = getattr(getattr(report.longrepr, "reprtraceback", None), "reprentries", None) or []
    if len(entries) != 1 or not isinstance(entries[0], ReprEntryNative):
        return
    entry, (first, *rest) = entries[0], entries[0].lines
    if first != f"{reason}\n":
        return

    def shown(tw: TerminalWriter) -> None:
        lines = prose(reason) if tw is terminal._tw else [reason]
        tw.write("".join(["\n".join(lines) + "\n", *rest]))

    entry.toterminal = shown  # type: ignore[method-assign]  # of this one alone


def write_rejected(terminal: pytest.TerminalReporter, records: Sequence[Record]) -> None:
    """Write which cases did not pass, and why, where pytest itself has not just done so."""
    rejected = [record for record in records if record.verdict not in ("pass", "skip")]
    if not rejected or terminal.config.option.tbstyle != "no":
        return
    terminal.section(f"modelgate: {len(rejected)} of {len(records)} not passed")
    for record in rejected[:MANY]:
        terminal.write_line(f"{record.verdict} ({record.reason_code}): {record.id}", red=True)
        for line in textwrap.wrap(record.reason, line_width() - 4, break_on_hyphens=False):
            terminal.write_line(f"    {line}")
    if len(rejected) > MANY:
        terminal.write_line(f"and {len(rejected) - MANY} more, all in summary.md")


def all_skipped(records: Sequence[Record]) -> bool:
    """Return whether there are cases and each was skipped, so that a run has decided nothing."""
    return bool(records) and all(record.verdict == "skip" for record in records)


def _counted(cases: int) -> str:
    return "the only case was" if cases == 1 else f"all {cases} cases were"


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
