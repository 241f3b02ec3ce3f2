"""``report``: what a run came to. A run that died is completed from the records that it wrote."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from bench.cli.refusing import refuse
from bench.core.errors import UsageProblem
from bench.core.files import describe_error
from bench.core.names import one_line
from bench.kinds import KINDS
from bench.report.html.page import write_page
from bench.report.layout import line_width, listed
from bench.report.results import ResultsFile, counts_line
from bench.report.runs import load_run
from bench.report.tables import CASE_HEADER, case_row
from bench.run.completion import RESULTS, complete, stored_results
from bench.run.occupied import is_occupied, take_over


def report(directory: Path, *, with_page: bool = True) -> int:
    """Print what a run came to and draw its page again; return the exit code.

    Args:
        directory: of the run, or its results alone, as an artifact of a CI has them.
        with_page: whether report.html is drawn.
    """
    try:
        results, note = _results(directory)
    except OSError as error:
        return refuse(
            f"{directory}: {describe_error(error)}; make room there, or make it writable, and try again"
        )
    run, records = results.run, results.ordered()
    print(f"run {run.get('id')}: {run.get('state')}, began {run.get('started')}{note}")
    for kind in dict.fromkeys(record.kind for record in records):
        rows = [case_row(record)[:-1] for record in records if record.kind == kind]
        print(f"\n{kind}")
        print("\n".join(listed([CASE_HEADER[:-1], *rows], line_width())))
    for record in records:
        if record.verdict not in ("pass", "skip"):
            print(f"\n{record.verdict} ({record.reason_code}): {one_line(record.id)}")
            print(
                textwrap.fill(
                    one_line(record.reason), line_width(), initial_indent="    ", subsequent_indent="    "
                )
            )
    counts = counts_line([record for record in records if record.control is None])
    print("\n" + textwrap.fill(counts, line_width()))
    unrun = sum(record.is_undecided for record in records)
    if unrun:
        print(f"{unrun} of {len(records)} cases were not run; go on with pytest ... --reuse {directory}")
    print(f"results: {results.path}")
    if with_page:
        try:
            print(f"page: {write_page(results, KINDS)}")
        except OSError as error:
            print(
                f"report.html: {describe_error(error)}; the results themselves are complete", file=sys.stderr
            )
    return 0


def _results(directory: Path) -> tuple[ResultsFile, str]:
    """Return the results of a run, completed where it died, and a note about that.

    Raises:
        UsageProblem: there are none, or none that can be read.
    """
    occupied = take_over(directory)
    if occupied is None:
        is_running = is_occupied(directory)
        results = _journaled(directory)
        if results is not None and not is_running and not results.path.exists():
            results.write()
        still = "; it still runs, these are the records so far" if is_running else ""
        return results or _written(directory), still
    is_complete = False
    try:
        results = complete(directory, KINDS)
        is_complete = True
        if results is None:
            raise UsageProblem(
                f"{directory}: found a run that died before it wrote a record, expected records; run it again"
            )
        return results, "; its results are complete now"
    finally:
        occupied.free(as_dead=not is_complete)


def _journaled(directory: Path) -> ResultsFile | None:
    return stored_results(directory, KINDS) if directory.is_dir() else None


def _written(directory: Path) -> ResultsFile:
    """Return what a run has written as its results, where the records themselves are not there."""
    file = directory if directory.is_file() else directory / RESULTS
    if not file.exists():
        raise UsageProblem(
            f"{directory}: found no records.jsonl and no {RESULTS}; expected the directory of a run, such as "
            "outputs/default/latest; correct the path"
        )
    run = load_run(file, KINDS)
    results = ResultsFile(file, run.run, KINDS)
    for key, record in run.plain.items():
        results.add("::".join(key), record)
    return results
