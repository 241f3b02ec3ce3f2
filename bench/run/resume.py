"""Resuming: results of an earlier run that are taken over, and why others are not.

A result fits when its whole fingerprint does: the case with its files, and what all cases of its kind depend on, which are
its options, users' code, the suite's own code and the packages, and for a kind that times something the machine. It is
taken over as a whole, so that no time of another day is ever compared with one of today.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.core.case import Case
from bench.core.errors import OF_THE_MOMENT, UsageProblem
from bench.core.fingerprint import Fingerprint, differing, fingerprint_of, own_code, path_hash
from bench.core.kind import Kind
from bench.core.names import content_hash
from bench.core.options import Option, Setting
from bench.core.record import Json
from bench.machine.environment import PACKAGES, cpu_model, version_of
from bench.run import journal
from bench.run.collected import Collected
from bench.run.view import RunView

_FINISHED = ("pass", "fail", "inconclusive")


def shared_fingerprint(kind: Kind, options: Any, setting: Setting, cores: int) -> Fingerprint:
    """Return what every result of a kind depends on, besides its case.

    Args:
        kind: of the cases.
        options: the kind's, as they were given.
        setting: of the run.
        cores: that a case has for itself.
    """
    parts = {
        f"option {name}": _part(value, files)
        for given in (options, setting.run)
        for name, value, files in _fields(given)
    }
    if setting.user_dirs:
        parts["users' code"] = content_hash([path_hash(folder) for folder in setting.user_dirs])[:12]
    parts["modelgate"] = own_code()
    parts |= {name: version for name in PACKAGES if (version := version_of(name)) is not None}
    if kind.is_timed:
        parts |= {"machine": _machine(), "cores of a case": str(cores)}
    return parts


def case_fingerprint(kind: Kind, case: Case) -> Fingerprint:
    """Return what the result of a case depends on besides what is shared."""
    # What cannot be evaluated has no result to take over, and a kind could say nothing of it.
    files = () if case.problem is not None else kind.inputs(case)
    # Where a case stands among the others does not change it.
    return fingerprint_of(dataclasses.replace(case, order=0, cost=0.0, group=0), files)


class Resuming:
    """Takes over results of an earlier run.

    Args:
        directory: of the earlier run.
        shared: by kind, what every result depends on in this run.

    Raises:
        UsageProblem: there are no records.
    """

    def __init__(self, directory: Path, shared: Mapping[str, Fingerprint]) -> None:
        self._directory, self._shared_now = directory, shared
        try:
            journaled = journal.read_journal(directory / journal.NAME)
        except OSError as error:
            raise UsageProblem(
                f"--reuse {directory}: {journal.NAME} cannot be read ({error.strerror}); expected the directory of a run "
                "of this version; correct the path"
            ) from error
        self._records = {(record["kind"], record["id"]): record for record in journaled.records.values()}
        self._shared = Collected.read(directory / "configs").fingerprints

    def take(self, kind: Kind, case: Case, view: RunView) -> tuple[Json | None, str]:
        """Return the result of a case, marked, or None and why it is not taken over (empty where there is none).

        What the result says it wrote is copied into the directory of this run.
        """
        record = None if kind.resumes_itself else self._records.get((case.kind, case.id))
        if record is None:
            return None, ""
        why = ""
        if record["verdict"] not in _FINISHED or record["reason_code"] in OF_THE_MOMENT:
            why = f"it ended as {record['verdict']} ({record['reason_code']})"
        elif parts := self._differing(record, kind, case):
            why = f"changed: {', '.join(parts)}"
        if why:
            return None, f"the result of run {self._directory.name} is not taken over: {why}"
        for name in (record.get("files") or {}).values():
            self._copy(name, view.directory)
        return {**record, "order": case.order, "reused": record.get("reused") or self._directory.name}, ""

    def _differing(self, record: Json, kind: Kind, case: Case) -> list[str]:
        parts = differing(record.get("depends_on") or {}, case_fingerprint(kind, case))
        return parts + differing(self._shared.get(case.kind, {}), self._shared_now.get(case.kind, {}))

    def _copy(self, name: str, directory: Path) -> None:
        source, target = self._directory / name, directory / name
        if source.is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def _fields(options: Any) -> Iterable[tuple[str, Any, Iterable[Path]]]:
    """Yield the options that a result depends on: name, value, and the files that the value leads to."""
    for field in dataclasses.fields(options):
        declared: Option = field.metadata["option"]
        value = getattr(options, field.name)
        if not declared.neutral:
            yield field.name, value, () if declared.files is None or value is None else declared.files(value)


def _part(value: Any, files: Iterable[Path] = ()) -> str:
    """Return an option's value as a part: short ones as they are, files by their content."""
    members = value if isinstance(value, tuple) else (value,)
    text = str(value)
    if any(_is_place(member) for member in members):
        text = str([path_hash(Path(member)) if _is_place(member) else member for member in members])
    text += "".join(path_hash(file) for file in files)
    return text if len(text) <= 40 else content_hash(text)[:12]


def _is_place(value: Any) -> bool:
    """Whether a value is a path, or a text that `bench.core.options.Place` made absolute since it exists."""
    return isinstance(value, Path) or (
        isinstance(value, str) and os.path.isabs(value) and os.path.exists(value)
    )


def _machine() -> str:
    with suppress(OSError):
        return content_hash([Path("/etc/machine-id").read_text(), cpu_model()])[:12]
    return content_hash([cpu_model()])[:12]
