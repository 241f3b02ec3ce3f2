"""evaluation_results.json: all records and their summary, complete after every finished case."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.core.case import LEVELS
from bench.core.record import SCHEMA_VERSION
from bench.language.report import DEFAULT_GROUPS, Group


class ResultsFile:
    """The results of a run, rewritten as a whole and replaced atomically at every record.

    Args:
        path: the file.
        run: what is known of the run itself.

    Attributes:
        records: by node id.
        groups: rows of the language table that put several datasets into one number.
    """

    def __init__(self, path: Path, run: dict[str, Any]) -> None:
        self.path, self.run = path, run
        self.records: dict[str, dict[str, Any]] = {}
        self.groups: Sequence[Group] = DEFAULT_GROUPS
        # A finished record does not change: its text is kept, so that a thousand cases do not
        # cost a million serialisations.
        self._texts: dict[str, str] = {}

    def add(self, nodeid: str, record: dict[str, Any]) -> None:
        """Add or replace a case's record and write the file."""
        text = json.dumps(record, indent=1, allow_nan=False)  # what cannot be written must not be kept
        self.records[nodeid], self._texts[nodeid] = record, text
        self.write()

    def ordered(self) -> list[dict[str, Any]]:
        """Return the records in the order of the task files, whatever order they finished in."""
        return [self.records[nodeid] for nodeid in self._order()]

    def write(self) -> None:
        """Write the file: a reader sees the old or the new one, never a part."""
        head = {"schema_version": SCHEMA_VERSION, "run": self.run, "summary": summarize(self.ordered())}
        text = json.dumps(head, indent=1, allow_nan=False)[:-2]
        records = ",\n".join(self._texts[nodeid] for nodeid in self._order())
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        temporary.write_text(f'{text},\n "records": [\n{records}\n]}}\n')
        temporary.replace(self.path)

    def _order(self) -> list[str]:
        def place(nodeid: str) -> tuple[str, int, str]:
            record = self.records[nodeid]
            return record.get("kind", ""), record.get("order", 0), nodeid

        return sorted(self.records, key=place)


def summarize(records: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the counts of a run. Controls are counted apart: they test the evaluator, not a candidate.

    ``pass_rate`` is passed over all tasks but skipped ones, None when there is none; what was not decided
    is not a pass. ``achievement_rate`` is the mean over hard tasks with a requirement.
    """
    records = list(records)
    tasks = [record for record in records if record["control"] is None]
    controls = [record for record in records if record["control"] is not None]
    return {
        **count_verdicts(tasks),
        "hard": {
            "total": sum(record["difficulty"] == "hard" for record in tasks),
            "achievement_rate": mean_achievement(tasks),
        },
        "levels": {
            level: {
                "total": sum(record["level"] == level for record in tasks),
                "passed": sum(record["level"] == level and record["verdict"] == "pass" for record in tasks),
            }
            for level in LEVELS
        },
        "kinds": {
            kind: count_verdicts([record for record in tasks if record["kind"] == kind])
            for kind in sorted({record["kind"] for record in tasks})
        },
        "controls": {
            "total": len(controls),
            "rejected": sum(record["verdict"] == "pass" for record in controls),
        },
    }


def count_verdicts(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return total, passed, failed, inconclusive, errors, skipped and the pass rate of some records."""
    counts = {
        name: sum(record["verdict"] == verdict for record in records)
        for name, verdict in (
            ("passed", "pass"),
            ("failed", "fail"),
            ("inconclusive", "inconclusive"),
            ("errors", "error"),
            ("skipped", "skip"),
        )
    }
    decided = len(records) - counts["skipped"]
    return {"total": len(records), **counts, "pass_rate": counts["passed"] / decided if decided else None}


def mean_achievement(records: Iterable[dict[str, Any]]) -> float | None:
    """Return the mean achievement rate of the records that have one, or None."""
    rates = [record["achievement_rate"] for record in records if record["achievement_rate"] is not None]
    return sum(rates) / len(rates) if rates else None
