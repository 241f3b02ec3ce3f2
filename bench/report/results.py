"""evaluation_results.json: all records and their summary, valid after every finished case."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench.core.files import replace_file
from bench.core.kind import Kind
from bench.core.record import SCHEMA_VERSION, Json, Record

_COUNTED = {
    "passed": "pass", "failed": "fail", "inconclusive": "inconclusive", "errors": "error", "skipped": "skip",
}  # fmt: skip


class ResultsFile:
    """The results of a run, written as a whole and replaced atomically at every record.

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
        # A finished record does not change: its text is kept, so that a thousand cases do not
        # cost a million serialisations.
        self._texts: dict[str, str] = {}

    def add(self, nodeid: str, record: Json) -> None:
        """Add or replace a case's record and write the file.

        Raises:
            ValueError: a record that JSON cannot hold; it is not kept.
        """
        text = json.dumps(record, indent=1, allow_nan=False)
        self.records[nodeid] = self.kinds[record["kind"]].decode(record)
        self._texts[nodeid] = text
        self.write()

    def ordered(self) -> list[Record]:
        """Return the records by kind and in the order of the cases, whatever order they finished in."""
        return [self.records[nodeid] for nodeid in self._order()]

    def write(self) -> None:
        """Write the file."""
        summary = summarize(self.ordered(), self.kinds.values())
        head = {"schema_version": SCHEMA_VERSION, "run": self.run, "summary": summary}
        text = json.dumps(head, indent=1, allow_nan=False)[:-2]
        records = ",\n".join(self._texts[nodeid] for nodeid in self._order())
        replace_file(self.path, f'{text},\n "records": [\n{records}\n]}}\n')

    def _order(self) -> list[str]:
        def place(nodeid: str) -> tuple[str, int, str]:
            record = self.records[nodeid]
            return record.kind, record.order, nodeid

        return sorted(self.records, key=place)


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


def control_note(records: Iterable[Record]) -> list[str]:
    """Return the sentence about controls among some records, in a list; empty when there are none."""
    controls = [record for record in records if record.control is not None]
    if not controls:
        return []
    rejected = sum(record.verdict == "pass" for record in controls)
    return [f"controls: {rejected} of {len(controls)} rejected for the reason they were written for"]
