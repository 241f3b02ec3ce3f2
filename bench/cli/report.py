"""``report``: what a run came to. A run that died is completed from the records that it wrote."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.cli.output import refuse
from bench.core.files import describe_error
from bench.kinds import KINDS
from bench.report.html.page import write_page
from bench.report.layout import aligned
from bench.report.results import ResultsFile, count_verdicts
from bench.report.tables import CASE_HEADER, case_row
from bench.run.completion import complete, stored_results
from bench.run.occupied import is_occupied, take_over


def report(directory: Path, *, with_page: bool = True) -> int:
    """Print what a run came to and draw its page again; return the exit code.

    Args:
        directory: of the run.
        with_page: whether report.html is drawn.
    """
    try:
        results, note = _results(directory)
    except OSError as error:
        return refuse(
            f"{directory}: {describe_error(error)}; make room there, or make it writable, and try again"
        )
    if results is None:
        return refuse(
            f"{directory}: found no records.jsonl with records; expected the directory of a run, such as "
            "outputs/default/latest; correct the path"
        )
    run, records = results.run, results.ordered()
    print(f"run {run.get('id')}: {run.get('state')}, began {run.get('started')}{note}")
    for kind in dict.fromkeys(record.kind for record in records):
        rows = [case_row(record) for record in records if record.kind == kind]
        print(f"\n{kind}")
        print("\n".join(aligned([CASE_HEADER, *rows])))
    counts = count_verdicts([record for record in records if record.control is None])
    print(
        "\n"
        + ", ".join(
            f"{name.replace('_', ' ')} {value}" for name, value in counts.items() if value is not None
        )
    )
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


def _results(directory: Path) -> tuple[ResultsFile | None, str]:
    occupied = take_over(directory)
    if occupied is None:
        still = "; it still runs, these are the records so far" if is_occupied(directory) else ""
        return stored_results(directory, KINDS), still
    is_complete = False
    try:
        results = complete(directory, KINDS)
        is_complete = True
        return results, "; its results are complete now"
    finally:
        occupied.free(as_dead=not is_complete)
