"""Joins stored runs, such as the shards of one, into a run of their own.

Of a case that several runs have, one record counts. Records that decided something go before those that the machine ended or
that were skipped, and these before cases that were not run; among equals the latest run counts, by when it began.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.core.errors import INFRASTRUCTURE, UsageProblem
from bench.core.files import replace_file
from bench.core.kind import Kind
from bench.core.names import counted
from bench.core.record import UNDECIDED, Json, Record
from bench.report.compare import differing_environment
from bench.report.html.page import write_page
from bench.report.results import ResultsFile, counts_line
from bench.report.runs import RESULTS, Key, StoredRun
from bench.run import journal

STATE = "merged"


@dataclass(frozen=True)
class Merged:
    """Runs that were joined.

    Attributes:
        runs: in the order in which they began.
        chosen: the run whose record counts, by case.
        gaps: what none of them has decided, in sentences.
        notes: what a reader should know, such as environments that differ.
    """

    runs: Sequence[StoredRun]
    chosen: Mapping[Key, StoredRun]
    gaps: Sequence[str]
    notes: Sequence[str]


def merge_runs(runs: Sequence[StoredRun], kinds: Mapping[str, Kind]) -> Merged:
    """Decide which record of each case counts.

    Args:
        runs: in any order.
        kinds: by name.

    Raises:
        UsageProblem: runs without any case, or with records of which it is not known which belong together.
    """
    ordered = sorted(runs, key=lambda run: (_moment(run.run.get("started")), run.name))
    in_order = _require_as_many(ordered)
    chosen: dict[Key, StoredRun] = {}
    for run in ordered:
        for key, record in run.records.items():
            before = chosen.get(key)
            if before is None or _worth(record) >= _worth(before.records[key]):
                chosen[key] = run
    if not chosen:
        raise UsageProblem(
            f"found no case in {len(runs)} runs, expected some; give runs that have decided something"
        )
    records = [run.records[key] for key, run in chosen.items()]
    gaps = [_gap(record) for record in records if not is_decided(record.verdict, record.reason_code)]
    for name, kind in kinds.items():
        gaps += kind.gaps([record for record in records if record.kind == name])
    return Merged(ordered, chosen, gaps, [*_notes(ordered), *in_order])


def _require_as_many(runs: Sequence[StoredRun]) -> list[str]:
    """Refuse several records of one case that cannot be told apart; return notes on those that are joined by their order.

    Earlier versions gave several tests of one case the same id, and results say nothing of tests.
    """
    counts = [Counter((record.kind, record.id) for record in run.ordered) for run in runs]
    notes = []
    for kind, name in dict.fromkeys(key for count in counts for key, times in count.items() if times > 1):
        having = [
            (run, count[kind, name]) for run, count in zip(runs, counts, strict=True) if count[kind, name]
        ]
        if len({times for _, times in having}) > 1:
            shown = ", ".join(f"{times} in {run.name}" for run, times in having)
            raise UsageProblem(
                f"found different numbers of records of the {kind} case {name} ({shown}), expected as many in each "
                "run: an earlier version gave several tests of a case one id, and which of them belong together is not "
                "known; run the case again with all of its tests, or leave one of these runs out"
            )
        if len(having) > 1:
            notes.append(
                f"{having[0][1]} records of the {kind} case {name} in each of {counted(len(having), 'run')}: several tests "
                "had one id in an earlier version; they are joined in their order"
            )
    return notes


def is_decided(verdict: str, reason_code: str) -> bool:
    """Whether a case came to an end that counts: it was run, and neither was skipped nor ended by the machine."""
    return verdict != "skip" and reason_code not in (UNDECIDED, *INFRASTRUCTURE)


def _worth(record: Record) -> int:
    if record.is_undecided:
        return 0
    return 1 + is_decided(record.verdict, record.reason_code)


def _gap(record: Record) -> str:
    how = "not run" if record.is_undecided else f"{record.verdict} ({record.reason_code})"
    return f"{record.kind}: {record.id}: {how}: {record.reason}"


def _moment(text: object) -> datetime:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _notes(runs: Sequence[StoredRun]) -> Iterator[str]:
    for run in runs[1:]:
        differing = list(differing_environment(runs[0].run.get("environment"), run.run.get("environment")))
        if differing:
            shown = "; ".join(f"{name}: {before} and {after}" for name, before, after in differing[:4])
            more = f"; and {len(differing) - 4} more" if len(differing) > 4 else ""
            yield f"{run.name} was run in another environment than {runs[0].name}: {shown}{more}"
        if run.unknown:
            yield f"{run.unknown} records of {run.name} are of unknown kinds and are left out"
    seeds = {str(run.run.get("seed")) for run in runs}
    if len(seeds) > 1:
        yield f"the runs have different seeds: {', '.join(sorted(seeds))}"


def write_merged(
    merged: Merged,
    out: Path,
    kinds: Mapping[str, Kind],
    *,
    with_page: bool = True,
    command: str | None = None,
) -> list[str]:
    """Write joined runs as a run of its own, with the files that its records name; return what to tell the user.

    Args:
        merged: of `merge_runs`.
        out: a new or empty folder.
        kinds: by name.
        with_page: whether report.html is drawn.
        command: what the runs are parts of; None names the commands of all of them.

    Raises:
        UsageProblem: a folder that holds something.
        OSError: when something cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageProblem(
            f"--out {out}: found something there, expected a new or empty folder; choose another"
        )
    out.mkdir(parents=True, exist_ok=True)
    out = out.resolve()
    head = _head(merged, out.name) | ({} if command is None else {"command": command})
    results = ResultsFile(out / RESULTS, head, kinds)
    log = journal.Journal(out / journal.NAME, head)
    try:
        for key, run in merged.chosen.items():
            record = {**run.plain[key], "files": _copy(run, run.plain[key].get("files"), out)}
            nodeid = "::".join(key)
            results.add(nodeid, record)
            log.append(nodeid, record)
        log.end(head)
    finally:
        log.close()
    results.write()
    of_runs = ", ".join(f"{run.name} ({_share(merged, run)})" for run in merged.runs)
    said = [
        f"merged {len(merged.chosen)} cases of {len(merged.runs)} runs: {of_runs}",
        counts_line([record for record in results.ordered() if record.control is None]),
        *(f"note: {note}" for note in merged.notes),
        *(f"gap: {gap}" for gap in merged.gaps),
        f"results: {results.path}",
    ]
    if with_page:
        said.append(f"page: {write_page(results, kinds)}")
    return said


def _share(merged: Merged, run: StoredRun) -> str:
    count = sum(chosen is run for chosen in merged.chosen.values())
    return counted(count, "case")


def _head(merged: Merged, name: str) -> Json:
    runs = [run.run for run in merged.runs]
    last = max((str(run.get("finished")) for run in runs if run.get("finished")), default=None)
    seeds = {run.get("seed") for run in runs}
    return {
        **runs[0],
        "id": name,
        "finished": last,
        "state": STATE,
        "exit_status": None,
        "collected": len(merged.chosen),
        "command": " + ".join(str(run.get("command")) for run in runs),
        "seed": next(iter(seeds)) if len(seeds) == 1 else runs[-1].get("seed"),
        "merged_from": [
            {
                "id": run.name,
                "started": run.run.get("started"),
                "seed": run.run.get("seed"),
                "command": run.run.get("command"),
            }
            for run in merged.runs
        ],
    }


def _copy(run: StoredRun, files: object, out: Path) -> dict[str, str] | None:
    """Copy the files of a record; return their paths below `out`. Those that are not there any more are left out."""
    if not isinstance(files, dict):
        return None
    return {name: _copy_one(run, str(path), out) for name, path in files.items()}


def _copy_one(run: StoredRun, path: str, out: Path) -> str:
    source = (run.directory / path).resolve()
    if not source.exists() or not source.is_relative_to(run.directory):
        return path
    target = out / path
    if target.is_file() and source.is_file() and target.read_bytes() != source.read_bytes():
        joined = _joined(target, source)
        if joined is not None:
            replace_file(target, joined)
            return path
        path = f"{run.name}/{path}"
        target = out / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, target)
    return path


def _joined(one: Path, other: Path) -> bytes | None:
    """Return the lines of two files of JSON lines that shards share, one for each key; None where they are other files."""
    if one.suffix != ".jsonl":
        return None
    found: dict[str, bytes] = {}
    for path in (one, other):
        for line in path.read_bytes().splitlines():
            try:
                key = msgspec.json.decode(line)["key"]
            except (msgspec.DecodeError, KeyError, TypeError):
                return None
            found[str(key)] = line
    return b"".join(line + b"\n" for line in found.values())
