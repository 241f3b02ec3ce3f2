"""A Markdown summary, for a CI page or a comment."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.core.kind import Section
from bench.report.layout import table
from bench.report.results import ResultsFile
from bench.report.size import SUMMARY_BYTES, TitledTable, fitted
from bench.report.tables import CASE_HEADER, case_row

_LEAST_ROOM = 2048


def markdown(results: ResultsFile, sections: Iterable[Section], limit: int = SUMMARY_BYTES) -> str:
    """Return a table per kind of case and one row per case that did not pass, in at most so many bytes.

    Where not all fits, what did not pass goes first, and what is left out is counted.
    """
    sections = list(sections)
    parts = []
    for section in sections:
        parts += [f"## Modelgate: {section.kind}", table(section.rows[0], section.rows[1:]), *section.notes]
    rejected = [case_row(record) for record in results.ordered() if record.verdict not in ("pass", "skip")]
    if rejected:
        parts += ["### Not passed", table(CASE_HEADER, rejected)]
    text = "\n\n".join(parts) + "\n"
    if len(text.encode()) <= limit:
        return text
    tables: list[TitledTable] = [("## Modelgate: not passed", CASE_HEADER, rejected)] if rejected else []
    tables += [(f"## Modelgate: {section.kind}", section.rows[0], section.rows[1:]) for section in sections]
    return fitted([], tables, [note for section in sections for note in section.notes], table, limit)


def write_step_summary(
    results: ResultsFile, sections: Iterable[Section], environment: Mapping[str, str] = os.environ
) -> None:
    """Write the summary next to the results, and append it to the file that ``$GITHUB_STEP_SUMMARY`` names.

    GitHub shows no summary of more than 1 MiB, so that what other commands of the step have written counts too.
    """
    sections = list(sections)
    results.path.with_name("summary.md").write_text(markdown(results, sections), encoding="utf-8")
    destination = environment.get("GITHUB_STEP_SUMMARY")
    if destination:
        path = Path(destination)
        room = SUMMARY_BYTES - (path.stat().st_size if path.is_file() else 0)
        if room > _LEAST_ROOM:
            with open(path, "a", encoding="utf-8") as summary:
                summary.write(markdown(results, sections, room))
