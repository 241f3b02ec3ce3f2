"""Runs collected in an SQLite file: what each case came to, and in which environment."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from bench.core.errors import UsageProblem
from bench.core.estimate import Estimate
from bench.core.kind import Kind
from bench.core.record import Json
from bench.report.results import count_verdicts
from bench.report.runs import StoredRun

VERSION = 1
_WAIT_S = 30
_TABLES = """
CREATE TABLE IF NOT EXISTS runs (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, started TEXT NOT NULL, command TEXT, seed INTEGER, environment TEXT,
    UNIQUE (id, started)
);
CREATE TABLE IF NOT EXISTS points (
    run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE, kind TEXT NOT NULL, name TEXT NOT NULL,
    verdict TEXT NOT NULL, metric TEXT NOT NULL, value REAL, low REAL, high REAL, n INTEGER, unit TEXT NOT NULL,
    higher_is_better INTEGER NOT NULL, PRIMARY KEY (run, kind, name, metric)
);
"""
_NAMES = ("runs", "points")
ALL_TASKS = "all tasks"
VERDICT_ALONE = "verdict"
"""The metric of a case that nothing was measured of: its value is missing, its verdict counts."""


@dataclass(frozen=True)
class HistoryPoint:
    """What a case came to in a run."""

    run: str
    started: str
    verdict: str
    estimate: Estimate
    environment: Json


@dataclass(frozen=True)
class Series:
    """A metric of a case over runs, the oldest first."""

    kind: str
    name: str
    metric: str
    points: list[HistoryPoint] = field(default_factory=list)

    @property
    def label(self) -> str:
        """Which case, and which metric."""
        return f"{self.name} · {self.metric}"


class History:
    """An SQLite file that collects runs.

    Args:
        path: the file.
        must_exist: whether a new one is refused.

    Raises:
        UsageProblem: a file of another kind, or of another version.
    """

    def __init__(self, path: Path, *, must_exist: bool = False) -> None:
        if must_exist and not path.is_file():
            raise UsageProblem(
                f"{path}: found no such file, expected one that --history has written; correct the path, or add runs with "
                "--add"
            )
        try:
            self._database = sqlite3.connect(path, timeout=_WAIT_S)
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
            tables = {name for (name,) in self._database.execute("SELECT name FROM sqlite_master")}
            if version != (VERSION if tables else 0) or not tables.issuperset(_NAMES if tables else ()):
                self._database.close()
                raise UsageProblem(
                    f"{path}: found an SQLite file of another program or version ({version}), expected a history of version "
                    f"{VERSION}; choose another file"
                )
            if not tables and must_exist:
                self._database.close()
                raise UsageProblem(
                    f"{path}: found an empty file, expected one that --history has written; correct the path, or add runs "
                    "with --add"
                )
            if not tables:
                self._database.executescript(_TABLES)
                self._database.execute(f"PRAGMA user_version = {VERSION}")
            self._database.execute("PRAGMA foreign_keys = ON")
        except sqlite3.Error as error:
            raise _not_usable(path, error) from error
        self._path = path

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        """Close the file.

        Raises:
            UsageProblem: in place of what SQLite says of a file that is damaged or may not be written.
        """
        self._database.close()
        if isinstance(error, sqlite3.Error):
            raise _not_usable(self._path, error) from error

    def add(self, run: StoredRun, kinds: Mapping[str, Kind]) -> int:
        """Add a run and return how many values it brought; one that is there already is replaced.

        Controls are left out: they test the evaluator.
        """
        head = run.run
        environment = json.dumps(head.get("environment") or {}, sort_keys=True)
        rows = _rows(run, kinds)
        with self._database:  # all of it or nothing
            self._database.execute(
                "DELETE FROM runs WHERE id = ? AND started = ?", (run.name, str(head.get("started")))
            )
            number = self._database.execute(
                "INSERT INTO runs (id, started, command, seed, environment) VALUES (?, ?, ?, ?, ?)",
                (run.name, str(head.get("started")), head.get("command"), head.get("seed"), environment),
            ).lastrowid
            self._database.executemany(
                "INSERT INTO points VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(number, *row) for row in rows],
            )
        return len(rows)

    def series(self, *, cases: Sequence[str] = (), metric: str | None = None) -> list[Series]:
        """Return the values over time.

        Args:
            cases: parts of ids; empty takes all.
            metric: its name; None takes all.
        """
        found: dict[tuple[str, str, str], Series] = {}
        query = (
            "SELECT kind, name, metric, id, started, verdict, value, low, high, n, unit, higher_is_better, environment "
            "FROM points JOIN runs ON run = number ORDER BY started, number, kind, name"
        )
        environments: dict[str, Json] = {}
        for kind, name, of_metric, *rest in self._database.execute(query):
            if (metric is not None and of_metric != metric) or (
                cases and not any(part in name for part in cases)
            ):
                continue
            run, started, verdict, value, low, high, n, unit, better, environment = rest
            if environment not in environments:
                environments[environment] = json.loads(environment)
            estimate = Estimate(
                metric=of_metric,
                value=value,
                low=low,
                high=high,
                n=n,
                unit=unit,
                higher_is_better=bool(better),
            )
            point = HistoryPoint(run, started, verdict, estimate, environments[environment])
            key = (kind, name, of_metric)
            found.setdefault(key, Series(*key)).points.append(point)
        return list(found.values())


def _not_usable(path: Path, error: sqlite3.Error) -> UsageProblem:
    return UsageProblem(
        f"{path}: it cannot be used as a history ({error}); expected a new file, or one that --history has written, with "
        "room and rights to write; choose another"
    )


def _rows(run: StoredRun, kinds: Mapping[str, Kind]) -> list[tuple[Any, ...]]:
    rows = []
    tasks = [record for record in run.ordered if record.control is None]
    for (_, case), record in run.records.items():
        if record.control is not None:
            continue
        estimates = kinds[record.kind].compared(record) or {
            VERDICT_ALONE: Estimate(metric=VERDICT_ALONE, reason="nothing was measured")
        }
        rows += [_row(record.kind, case, record.verdict, name, one) for name, one in estimates.items()]
    counts = count_verdicts(tasks)
    if counts["pass_rate"] is not None:
        rate = Estimate(metric="pass rate", value=100 * counts["pass_rate"], n=counts["total"], unit="%")
        verdict = "pass" if counts["passed"] == counts["total"] - counts["skipped"] else "fail"
        rows.append(_row("run", ALL_TASKS, verdict, "pass rate", rate))
    return rows


def _row(kind: str, name: str, verdict: str, metric: str, one: Estimate) -> tuple[Any, ...]:
    return (
        kind,
        name,
        verdict,
        metric,
        one.value,
        one.low,
        one.high,
        one.n,
        one.unit,
        int(one.higher_is_better),
    )
