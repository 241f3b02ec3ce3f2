"""Joins what the jobs have run into one run, and says what is missing."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from bench.cluster.junit import Found, write_junit
from bench.cluster.states import State
from bench.cluster.submission import (
    OUTPUT,
    SELECTION,
    Job,
    Selection,
    Submission,
    attempts,
    job_folder,
    read_ended,
    runs_of,
)
from bench.core.kind import Kind
from bench.core.record import SCHEMA_VERSION, Json
from bench.report.runs import RESULTS, Key, StoredRun, read_run
from bench.run import journal
from bench.run.collected import Collected
from bench.run.merge import Merged, merge_runs, write_merged

RUN = "run"
_FINE = (0, 5)
"""Exit codes of pytest: all passed; all were skipped."""
_FAILED = (0, 1, 5)
"""Those after which everything was run."""


@dataclass(frozen=True)
class Joined:
    """What the jobs came to.

    Attributes:
        said: what to tell the user.
        has_failed: whether a case did not pass, is missing, or a job failed for another reason.
    """

    said: list[str]
    has_failed: bool


def join(
    folder: Path,
    submission: Submission,
    states: Mapping[int, State],
    kinds: Mapping[str, Kind],
    *,
    with_page: bool = True,
) -> Joined:
    """Write the run that the jobs are joined to, in the place of one that was joined before.

    Args:
        folder: of the submission.
        submission: what was submitted.
        states: of the jobs, by number.
        kinds: by name.
        with_page: whether report.html is drawn.

    Raises:
        OSError: when it cannot be written.
        UsageProblem: no case was submitted, only other tests.
    """
    selection = msgspec.json.decode((folder / SELECTION).read_bytes(), type=Selection)
    blanks = {item.nodeid: item.blank for item in selection.items if item.blank is not None}
    runs: list[StoredRun] = []
    nodeids: dict[Key, str] = {}
    notes: list[str] = []
    has_failed = False
    for job in submission.jobs:
        how = _how(folder, job, states.get(job.number))
        found = [*_runs(folder, job, kinds, how)]
        known = {nodeid for _, names in found for nodeid in names.values()}
        missing = {
            nodeid: _unrun(blanks[nodeid], how) for nodeid in job.nodeids if nodeid in blanks.keys() - known
        }
        if missing:
            found.append(_stored(folder, f"job-{job.number:03}", {}, missing, kinds))
        for run, names in found:
            runs.append(run)
            nodeids |= names
        ended = read_ended(job_folder(folder, job.number))
        has_failed |= ended is None or ended.exit_status not in _FINE
        if ended is None or ended.exit_status not in _FAILED or ended.reason:
            notes.append(how)
    environment = next((run.run["environment"] for run in runs if "environment" in run.run), None)
    runs = [replace(run, run={"environment": environment, **run.run}) for run in runs]
    merged = merge_runs(runs, kinds)
    out = folder / RUN
    with suppress(FileNotFoundError):
        shutil.rmtree(out)
    said = write_merged(merged, out, kinds, with_page=with_page)
    if submission.junit is not None:
        found_in = {
            key: Found(nodeids[key], run.directory.parent, run.plain[key])
            for key, run in merged.chosen.items()
        }
        folders = [attempt for job in submission.jobs for attempt in attempts(job_folder(folder, job.number))]
        write_junit(Path(submission.junit), folders, list(found_in.values()))
        said.append(f"JUnit: {submission.junit}")
    return Joined([*said, *(f"note: {note}" for note in notes)], has_failed or _fails(merged))


def missing_jobs(folder: Path, submission: Submission, done: Mapping[int, set[str]]) -> list[int]:
    """Return the jobs of which some case is not decided, or that have tests that are no cases and did not come to their end.

    Args:
        folder: of the submission.
        submission: what was submitted.
        done: by job, the node ids of what was decided.
    """
    selection = msgspec.json.decode((folder / SELECTION).read_bytes(), type=Selection)
    cases = {item.nodeid for item in selection.items if item.blank is not None}
    found = []
    for job in submission.jobs:
        ended = read_ended(job_folder(folder, job.number))
        others_ran = ended is not None and ended.exit_status in _FAILED
        open_ones = [
            one for one in job.nodeids if one not in done[job.number] and (one in cases or not others_ran)
        ]
        if open_ones:
            found.append(job.number)
    return found


def _runs(
    folder: Path, job: Job, kinds: Mapping[str, Kind], how: str
) -> Iterator[tuple[StoredRun, dict[Key, str]]]:
    """Yield the runs of a job from their journals, which hold more than the results of one that died."""
    for attempt in attempts(job_folder(folder, job.number)):
        for directory in runs_of(attempt):
            journaled = journal.read_journal(directory / journal.NAME)
            collected = Collected.read(directory / "configs")
            name = f"job-{job.number:03}-{directory.name}"
            unrun = {nodeid: _unrun(blank, how) for nodeid, blank in collected.blanks.items()}
            yield _stored(directory, name, journaled.run, {**unrun, **journaled.records}, kinds)


def _stored(
    directory: Path, name: str, run: Json, records: Mapping[str, Json], kinds: Mapping[str, Kind]
) -> tuple[StoredRun, dict[Key, str]]:
    data = {"schema_version": SCHEMA_VERSION, "run": {**run, "id": name}, "records": list(records.values())}
    names = {(str(record["kind"]), str(record["id"])): nodeid for nodeid, record in records.items()}
    return read_run(data, directory / RESULTS, kinds), names


def _unrun(blank: Json, how: str) -> Json:
    return {**blank, "reason": how}


def _how(folder: Path, job: Job, state: State | None) -> str:
    """Return how a job ended, with the last line of what it printed where it did not come to its end."""
    place = job_folder(folder, job.number)
    ended = read_ended(place)
    if ended is None:
        how = f"job {job.number} " + (
            "was not submitted" if state is None
            else f"ended as {state}, without a result" if state.is_over
            else f"is {state}"
        )  # fmt: skip
    elif ended.reason:
        how = f"job {job.number} did not end by itself: {ended.reason}"
    elif ended.exit_status < 0:
        how = f"job {job.number}: pytest was ended by {_signal(-ended.exit_status)}"
    else:
        how = f"job {job.number}: pytest ended with exit code {ended.exit_status}"
    last = _last_line(place / OUTPUT) or _last_line(_log(folder, job))
    return (
        f"{how}; its last line: {last}"
        if last and (ended is None or ended.exit_status not in _FAILED)
        else how
    )


def _log(folder: Path, job: Job) -> Path:
    return folder / "logs" / f"{job.launches[-1].id if job.launches else 'none'}_0_log.err"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_line(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 4096))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    said = [line.strip(" =\t") for line in lines if line.strip(" =\t")]
    return said[-1][:300] if said else ""


def _fails(merged: Merged) -> bool:
    """Whether pytest would have failed for some record that counts."""
    if merged.gaps:
        return True
    failing = [
        run for key, run in merged.chosen.items()
        if run.records[key].verdict in ("fail", "error")
        or (run.records[key].verdict == "inconclusive" and not _skips_inconclusive(run.directory))
    ]  # fmt: skip
    return bool(failing)


def _skips_inconclusive(directory: Path) -> bool:
    try:
        options: Any = msgspec.json.decode((directory / "configs" / "options.json").read_bytes())
        return bool(options["run"]["inconclusive"] == "skip")
    except (OSError, msgspec.DecodeError, KeyError, TypeError):
        return False
