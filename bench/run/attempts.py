"""Attempts at one case, when a plugin runs a test again: what each process remembers, and what the run knows of all.

A plugin marks what it runs again by an outcome of its own in the report, such as ``rerun``. pytest-rerunfailures asks for a
new report for each attempt. pytest-retry makes its attempts while one report is made, and logs only the first. So an
item counts its own attempts, from one set-up to the next, and the last record tells the earlier ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from bench.core.record import Attempt, Json, Record
from bench.core.verdict import verdict_of
from bench.run.time_limit import timeout_verdict

#: Outcomes that end a test. A report with another one is of an attempt that is followed by another.
FINAL_OUTCOMES = ("passed", "failed", "skipped")


@dataclass
class Trial:
    """One attempt at an item, in the process that runs it.

    Attributes:
        properties: those that the item had before its first attempt.
        earlier: the attempts before.
        evaluated: record of the evaluation, from the time that there is one.
        reported: the record that a report carries, once there is one.
        error: what ended its set-up or its test.
        not_reused: why the result of an earlier run is not taken over, until the record says so.
        retries: how many of the earlier attempts were ended by the machine and followed by another for that.
        runs_again: whether another follows this one for that.
    """

    properties: list[tuple[str, object]]
    earlier: list[Attempt] = field(default_factory=list)
    evaluated: Record | None = None
    reported: Record | None = None
    error: BaseException | None = None
    not_reused: str = ""
    retries: int = 0
    runs_again: bool = False

    def ended(self) -> Attempt:
        """Return how it ended; no report carries the record of an attempt that a plugin made while it made a report."""
        if self.reported is not None:
            return self.reported.as_attempt()
        verdict = timeout_verdict(self.error)
        if verdict is None and self.evaluated is not None and not self.evaluated.is_undecided:
            return self.evaluated.as_attempt()
        verdict = verdict or verdict_of(self.error)
        return Attempt(verdict=verdict.verdict, reason_code=verdict.reason_code, reason=verdict.reason)


TRIAL = pytest.StashKey[Trial]()


def begin_trial(item: pytest.Item) -> Trial:
    """Return a fresh attempt; nothing of an earlier one is left on the item but that it was made."""
    before = item.stash.get(TRIAL, None)
    trial = Trial(list(item.user_properties))
    if before is not None:
        retries = before.retries + before.runs_again
        trial = Trial(before.properties, [*before.earlier, before.ended()], retries=retries)
        item.user_properties[:] = before.properties
    item.stash[TRIAL] = trial
    return trial


class EarlierAttempts:
    """What the process that owns the run knows of earlier attempts.

    Each process tells all of its own attempts at a case with its record. Those of a process that died are known from the
    reports that it sent, and from the report of its death.
    """

    def __init__(self) -> None:
        self._told: dict[str, dict[str, list[Json]]] = {}

    def add(self, report: Any, record: Json) -> list[Json]:
        """Note what a report tells; return all earlier attempts at its case, the first one first."""
        told = self._told.setdefault(report.nodeid, {})
        attempts = list(record["attempts"])
        if report.outcome not in FINAL_OUTCOMES:
            attempts.append({name: record[name] for name in Attempt.__struct_fields__})
        if attempts:
            told[_source(report)] = attempts
        return [attempt for of_one in told.values() for attempt in of_one]


def unfinished(blank: Record, attempts: list[Json]) -> Json:
    """Return the record of a case between two attempts, from its blank one."""
    blank.attempts = msgspec.convert(attempts, list[Attempt])
    blank.reason = "the run ended before this case was run again"
    return blank.to_json()


def _source(report: Any) -> str:
    """Return the name of the process that a report is from; the death of a worker is no report of its own."""
    name = getattr(report, "worker_id", "")
    node = getattr(report, "node", None)
    return name or ("" if node is None else f"end of {node.gateway.id}")
