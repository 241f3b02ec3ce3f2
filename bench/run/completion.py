"""Completes the results of a run that died: the records it wrote, and a blank one for every case it did not run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from bench.core.kind import Kind
from bench.report.results import ResultsFile
from bench.run import journal
from bench.run.collected import Collected

RESULTS = "evaluation_results.json"


def complete(directory: Path, kinds: Mapping[str, Kind]) -> ResultsFile | None:
    """Write ``evaluation_results.json`` of a run that died, from its ``records.jsonl``; None where it wrote none.

    Nobody else may write there meanwhile.

    Raises:
        OSError: when the records cannot be read, or the results not be written.
    """
    results = stored_results(directory, kinds)
    if results is None:
        return None
    if results.run.get("state") in (None, "running"):
        results.run["state"] = "died"
    results.write()
    for left in directory.glob(f".{RESULTS}.*"):
        left.unlink(missing_ok=True)
    return results


def stored_results(directory: Path, kinds: Mapping[str, Kind]) -> ResultsFile | None:
    """Return what a run's ``records.jsonl`` holds, with a blank record for each case that it does not hold."""
    with suppress(FileNotFoundError):
        journaled = journal.read_journal(directory / journal.NAME)
        results = ResultsFile(directory / RESULTS, journaled.run, kinds)
        collected = Collected.read(directory / "configs")
        for nodeid, record in {**collected.blanks, **journaled.records}.items():
            if record["kind"] in kinds:
                results.add(nodeid, record)
        results.run["collected"] = max(len(collected.blanks), len(results.records))
        return results
    return None
