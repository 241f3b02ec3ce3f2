"""Runs that are stored: read from their directories, or from their results alone."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from bench.core.errors import UsageProblem
from bench.core.files import describe_error
from bench.core.kind import Kind
from bench.core.names import json_kind, one_line, quoted
from bench.core.record import SCHEMA_VERSION, Json, Record
from bench.core.verdict import VERDICTS
from bench.report.schema import RunHead

RESULTS = "evaluation_results.json"
_AGAIN = "write the results again with `report`, after removing the file"
Key = tuple[str, str]
"""What a case is known by in every run: its kind and its id."""


@dataclass(frozen=True)
class StoredRun:
    """A run as it was written.

    Attributes:
        directory: of the run; files that records name lie below it, if they are still there.
        name: what it is called in tables.
        run: what is known of the run itself.
        records: by kind and id, in the order of the results.
        plain: the same as JSON objects.
        unknown: how many records are of kinds that are not known here.
    """

    directory: Path
    name: str
    run: Json
    records: Mapping[Key, Record]
    plain: Mapping[Key, Json] = field(default_factory=dict)
    unknown: int = 0

    @property
    def ordered(self) -> list[Record]:
        """The records."""
        return list(self.records.values())


def load_run(path: Path, kinds: Mapping[str, Kind]) -> StoredRun:
    """Return a run.

    Args:
        path: its directory, or its evaluation_results.json.
        kinds: by name.

    Raises:
        UsageProblem: there are no results, or none that can be read.
    """
    file = path / RESULTS if path.is_dir() else path
    try:
        data: Any = msgspec.json.decode(file.read_bytes())
    except OSError as error:
        raise UsageProblem(
            f"{path}: found no {RESULTS} ({describe_error(error)}); expected the directory of a run, or its {RESULTS}; "
            "correct the path, or complete a run that died with `report`"
        ) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise UsageProblem(
            f"{file}: found no whole JSON ({error}); expected the {RESULTS} of a run; {_AGAIN}"
        ) from error
    return read_run(data, file, kinds)


def read_run(data: Any, file: Path, kinds: Mapping[str, Kind]) -> StoredRun:
    """Return the run that a results file holds.

    Raises:
        UsageProblem: results of another form.
    """
    if not isinstance(data, dict) or "schema_version" not in data:
        found = "an object without schema_version" if isinstance(data, dict) else json_kind(data)
        raise UsageProblem(
            f"{file}: found {found}, expected the {RESULTS} that a run writes; correct the path"
        )
    if data["schema_version"] != SCHEMA_VERSION:
        raise UsageProblem(
            f"{file}: found schema_version {data['schema_version']!r}, expected {SCHEMA_VERSION}; read it with the version "
            "of Modelgate that wrote it"
        )
    run: Any = data.get("run")
    entries: Any = data.get("records")
    for name, value, expected in (("run", run, dict), ("records", entries, list)):
        if not isinstance(value, expected):
            what = "no" if value is None else f"{json_kind(value)} as"
            raise UsageProblem(
                f"{file}: found {what} `{name}`, expected {'an object' if expected is dict else 'a list'}; "
                f"{_AGAIN}"
            )
    try:
        msgspec.convert({name: value for name, value in run.items() if value is not None}, RunHead)
    except msgspec.ValidationError as error:
        raise UsageProblem(
            f"{file}, run: found a key with a value of another type ({error}); expected what Modelgate writes; "
            f"{_AGAIN}"
        ) from error
    records: dict[Key, Record] = {}
    plain: dict[Key, Json] = {}
    unknown = 0
    for place, entry in enumerate(entries):
        kind = kinds.get(str(entry.get("kind"))) if isinstance(entry, dict) else None
        if kind is None:
            unknown += 1
            continue
        try:
            record = kind.decode(entry)
        except msgspec.ValidationError as error:
            raise UsageProblem(
                f"{file}, record {place} ({entry.get('id')}): found a key with a value of another type ({error}); expected "
                f"a record as Modelgate writes it; {_AGAIN}"
            ) from error
        if record.verdict not in VERDICTS:
            raise UsageProblem(
                f"{file}, record {place} ({record.id}): found the verdict {quoted(record.verdict)}, expected one of "
                f"{', '.join(VERDICTS)}; {_AGAIN}"
            )
        key = _free((record.kind, record.id), records)
        records[key], plain[key] = record, entry
    return StoredRun(
        file.parent.resolve(),
        one_line(str(run.get("id") or file.parent.resolve().name)),
        run,
        records,
        plain,
        unknown,
    )


def _free(key: Key, taken: Container[Key]) -> Key:
    """Return what a record is known by; another one of the same case, as older runs have, gets a number."""
    number, found = 1, key
    while found in taken:
        number += 1
        found = (key[0], f"{key[1]} ({number})")
    return found


def name_apart(runs: list[StoredRun]) -> list[str]:
    """Return a name for each of several runs, all different."""
    names: list[str] = []
    for run in runs:
        name, number = run.name, 1
        while name in names:
            number += 1
            name = f"{run.name} ({number})"
        names.append(name)
    return names
