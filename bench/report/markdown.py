"""A Markdown summary, for a CI page or a comment."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.core.kind import Section
from bench.report.layout import table
from bench.report.results import ResultsFile
from bench.report.tables import CASE_HEADER, case_row


def markdown(results: ResultsFile, sections: Iterable[Section]) -> str:
    """Return a table per kind of case and one row per case that did not pass."""
    parts = []
    for section in sections:
        parts += [f"## Modelgate: {section.kind}", table(section.rows[0], section.rows[1:]), *section.notes]
    rejected = [case_row(record) for record in results.ordered() if record.verdict not in ("pass", "skip")]
    if rejected:
        parts += ["### Not passed", table(CASE_HEADER, rejected)]
    return "\n\n".join(parts) + "\n"


def write_step_summary(
    results: ResultsFile, sections: Iterable[Section], environment: Mapping[str, str] = os.environ
) -> None:
    """Write the summary next to the results, and append it to the file that ``$GITHUB_STEP_SUMMARY`` names."""
    text = markdown(results, sections)
    results.path.with_name("summary.md").write_text(text, encoding="utf-8")
    destination = environment.get("GITHUB_STEP_SUMMARY")
    if destination:
        with open(Path(destination), "a", encoding="utf-8") as summary:
            summary.write(text)
