"""evaluation_results.json: all records and their summary, valid whenever it is read."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from bench.core.files import replace_file
from bench.core.kind import Kind
from bench.core.record import SCHEMA_VERSION, Json, Record, plain_problems

_COUNTED = {
    "passed": "pass", "failed": "fail", "inconclusive": "inconclusive", "errors": "error", "skipped": "skip",
}  # fmt: skip


class ResultsFile:
    """The results of a run, written as a whole and replaced atomically.

    Args:
        path: the file.
        run: what is known of the run itself.
        kinds: by name.

    Attributes:
        records: by node id.
    """

    def __init__(self, path: Path, run: Json, kinds: Mapping[str, Kind]) -> None:
        self.path, self.run, self.kinds = path, run, kinds
        self.records: dict[str, Record] = {}
        # A finished record does not change: its text is kept, so that writing the file again does not serialise all.
        self._texts: dict[str, bytes] = {}
        self._pace = _Pace()

    def add(self, nodeid: str, record: Json) -> None:
        """Add or replace a case's record, without writing the file.

        Raises:
            ValueError: a record that JSON cannot hold; it is not kept.
        """
        text = _encode(record)
        self.records[nodeid] = self.kinds[record["kind"]].decode(record)
        self._texts[nodeid] = text
        self._pace.add(len(text))

    def ordered(self) -> list[Record]:
        """Return the records by kind and in the order of the cases, whatever order they finished in."""
        return [self.records[nodeid] for nodeid in self._order()]

    def write_when_due(self) -> None:
        """Write the file if that costs under 1 % of the time since it was written last, and little room.

        Raises:
            OSError: when it cannot be written; the old file is untouched.
        """
        if self._pace.is_due():
            self.write()

    def write(self) -> None:
        """Write the file.

        Raises:
            OSError: when it cannot be written; the old file is untouched.
        """
        self._pace.begin()
        records = self.ordered()
        summary = summarize(records, self.kinds.values())
        run = dict(self.run)
        for kind in self.kinds.values():
            run |= kind.run_facts([record for record in records if record.kind == kind.name])
        head = _encode({"schema_version": SCHEMA_VERSION, "run": run, "summary": summary})[:-2]
        texts = b",\n".join(self._texts[nodeid] for nodeid in self._order())
        replace_file(self.path, head + b',\n "records": [\n' + texts + b"\n]}\n")
        self._pace.end()

    def _order(self) -> list[str]:
        def place(nodeid: str) -> tuple[str, int, str]:
            record = self.records[nodeid]
            return record.kind, record.order, nodeid

        return sorted(self.records, key=place)


class _Pace:
    """Decides when a file that grows with each record is written again.

    The time of writing stays under 1 % of the run. What is written in all stays near the size of the file, or under 64 kB
    for each second of the run: a quick run writes its file whenever it is five times as large, a slow one with every record.
    """

    _SHARE = 0.01
    _GROWTH = 5
    _BYTES_PER_S = 65536

    def __init__(self) -> None:
        self._start = self._ended = time.monotonic()
        self._began = 0.0
        self._cost = 0.0  # seconds for each byte
        self._size = self._written = 0

    def add(self, size: int) -> None:
        self._size += size

    def is_due(self) -> bool:
        now = time.monotonic()
        if self._written and now - self._ended < self._cost * self._size / self._SHARE:
            return False
        is_far_larger = self._written * self._GROWTH <= self._size
        return is_far_larger or self._written + self._size <= self._BYTES_PER_S * (1 + now - self._start)

    def begin(self) -> None:
        self._began = time.monotonic()

    def end(self) -> None:
        self._ended = time.monotonic()
        self._cost = (self._ended - self._began) / max(1, self._size)
        self._written += self._size


def _encode(value: Json) -> bytes:
    """Return JSON, indented by one.

    Raises:
        ValueError: what JSON cannot hold.
    """
    problem = next(iter(plain_problems(value, "results")), None)
    if problem is not None:
        raise ValueError(f"found {problem}, which is not JSON compliant; expected plain values")
    return msgspec.json.format(msgspec.json.encode(value), indent=1)


def summarize(records: Iterable[Record], kinds: Iterable[Kind] = ()) -> Json:
    """Return the counts of a run. Controls are counted apart: they test the evaluator, not a candidate.

    ``pass_rate`` is passed over all tasks but skipped ones, None when there is none; what was not decided
    is not a pass. Each kind adds keys of its own.
    """
    records = list(records)
    tasks = [record for record in records if record.control is None]
    controls = [record for record in records if record.control is not None]
    own: Json = {}
    for kind in kinds:
        own |= kind.summarize([record for record in tasks if record.kind == kind.name])
    return {
        **count_verdicts(tasks),
        **own,
        "kinds": {
            kind: count_verdicts([record for record in tasks if record.kind == kind])
            for kind in sorted({record.kind for record in tasks})
        },
        "controls": {
            "total": len(controls),
            "rejected": sum(record.verdict == "pass" for record in controls),
        },
    }


def count_verdicts(records: Sequence[Record]) -> Json:
    """Return total, passed, failed, inconclusive, errors, skipped and the pass rate of some records."""
    counts = {
        name: sum(record.verdict == verdict for record in records) for name, verdict in _COUNTED.items()
    }
    decided = len(records) - counts["skipped"]
    return {"total": len(records), **counts, "pass_rate": counts["passed"] / decided if decided else None}


def counts_line(records: Sequence[Record]) -> str:
    """Return the counts of some records and their pass rate as a line."""
    counts = count_verdicts(records)
    rate = counts.pop("pass_rate")
    said = [f"{name} {count}" for name, count in counts.items()]
    return ", ".join([*said, *([] if rate is None else [f"pass rate {100 * rate:.1f} %"])])


def control_note(records: Iterable[Record]) -> list[str]:
    """Return the sentence about controls among some records, in a list; empty when there are none."""
    controls = [record for record in records if record.control is not None]
    if not controls:
        return []
    rejected = sum(record.verdict == "pass" for record in controls)
    return [f"controls: {rejected} of {len(controls)} rejected for the reason they were written for"]
