"""Joins what the jobs have run into one run, and says what is missing."""

from __future__ import annotations

import shlex
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
    ClusterJob,
    Submission,
    attempts,
    decided,
    job_folder,
    read_ended,
    read_selected,
    runs_of,
)
from bench.core.kind import Kind
from bench.core.places import Places
from bench.core.record import SCHEMA_VERSION, Json
from bench.machine.environment import describe_environment
from bench.report.runs import RESULTS, Key, StoredRun, read_run
from bench.run import journal
from bench.run.collected import Collected
from bench.run.merge import Merged, merge_runs, write_merged

RUN = "run"
_NOTES = 4
_FINE = (0, 2, 5)
"""Exit codes of pytest that say nothing against the cases: all passed, it was interrupted, all were skipped."""
_FAILED = (0, 1, 5)
"""Those after which everything was run."""


@dataclass(frozen=True)
class JoinedJobs:
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
) -> JoinedJobs:
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
    blanks = {item.nodeid: item.blank for item in read_selected(folder).items if item.blank is not None}
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
        # One that was ended after its last case has lost nothing; what is missing is said below.
        has_failed |= ended is not None and ended.exit_status > 0 and ended.exit_status not in _FINE
        if ended is None or ended.exit_status not in _FAILED or ended.reason:
            notes.append(how + _printed(folder, job))
    head = next((run.run for run in runs if "environment" in run.run), None) or _head(submission)
    merged = merge_runs([replace(run, run={**head, **run.run}) for run in runs], kinds)
    out = folder / RUN
    with suppress(FileNotFoundError):
        shutil.rmtree(out)
    said = write_merged(merged, out, kinds, with_page=with_page, command=_command(submission))
    if submission.junit is not None:
        found_in = {
            key: Found(nodeids[key], run.directory.parent, run.plain[key])
            for key, run in merged.chosen.items()
        }
        folders = [attempt for job in submission.jobs for attempt in attempts(job_folder(folder, job.number))]
        write_junit(Path(submission.junit), folders, list(found_in.values()))
        said.append(f"JUnit: {submission.junit}")
    has_failed |= _fails(merged) or bool(missing_jobs(folder, submission))
    said[0] = (
        f"joined {len(merged.chosen)} cases of {len(submission.jobs)} jobs, which ran in {len(merged.runs)} attempts"
    )
    return JoinedJobs([*_few_notes(said), *(f"note: {note}" for note in notes)], has_failed)


def _head(submission: Submission) -> Json:
    """Return what is known of a run of which no job has begun its part."""
    return {
        "started": submission.created,
        "seed": submission.seed or 0,
        "workers": 1,
        "environment": describe_environment(Path(submission.directory)),
    }


def _few_notes(said: list[str]) -> Iterator[str]:
    """Yield what was said with the first notes alone: machines that differ say so in each of many jobs."""
    count = 0
    for line in said:
        count += line.startswith("note: ")
        if not line.startswith("note: ") or count <= _NOTES:
            yield line
    if count > _NOTES:
        yield f"note: and {count - _NOTES} more of this kind"


def _command(submission: Submission) -> str:
    places = Places(Path(submission.directory), None, Path.home())
    return f"modelgate submit -- {places.tidy(shlex.join(submission.arguments))}"


def missing_jobs(folder: Path, submission: Submission) -> list[int]:
    """Return the jobs of which some case is not decided, or that have tests that are no cases and did not come to their end.

    Args:
        folder: of the submission.
        submission: what was submitted.
    """
    cases = {item.nodeid for item in read_selected(folder).items if item.blank is not None}
    found = []
    for job in submission.jobs:
        place = job_folder(folder, job.number)
        ended, done = read_ended(place), decided(place)
        if ended is None or ended.exit_status not in _FAILED:
            missing = set(job.nodeids) - done
        else:
            missing = cases.intersection(job.nodeids) - done
        if missing:
            found.append(job.number)
    return found


def _runs(
    folder: Path, job: ClusterJob, kinds: Mapping[str, Kind], how: str
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


def _how(folder: Path, job: ClusterJob, state: State | None) -> str:
    """Return how a job ended."""
    place = job_folder(folder, job.number)
    ended = read_ended(place)
    name = f"job {job.number}"
    if ended is None:
        if state is None:
            return f"{name} " + ("is in a state that is not known" if job.launches else "was not submitted")
        return f"{name} ended as {state}, without a result" if state.is_over else f"{name} is {state}"
    if ended.reason:
        return f"{name} did not end by itself: {ended.reason}"
    if ended.exit_status < 0:
        return f"{name}: pytest was ended by {_signal(-ended.exit_status)}"
    return f"{name}: pytest ended with exit code {ended.exit_status}"


def _printed(folder: Path, job: ClusterJob) -> str:
    """Return what a job printed last and where, for a sentence on how it ended."""
    for path in (job_folder(folder, job.number) / OUTPUT, _log(folder, job)):
        last = _last_line(path)
        if last:
            return f"; {path} ends with: {last}"
    return ""


def _log(folder: Path, job: ClusterJob) -> Path:
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
    said = [" ".join(line.strip(" =\t").split()) for line in reversed(lines)]
    # What srun adds when a program has failed says less than the program.
    own = [line for line in said if line and not line.startswith(("srun:", "slurmstepd:"))]
    return next((line[:300] for line in (*own, *said) if line), "")


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
