"""Another try for a case that the machine ended: it blames no candidate and decides nothing, so it is run again.

A verdict is never tried again: a candidate at its limit that is measured until it passes has not been shown to be good.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import Any

import pytest

from bench.core.errors import INFRASTRUCTURE
from bench.core.record import Json, Record
from bench.run.attempts import TRIAL, Trial
from bench.run.time_limit import timeout_verdict

#: The outcome of a report that another attempt follows, as pytest-rerunfailures has it; other plugins know it.
AGAIN = "rerun"


class Retries:
    """Runs cases again, in the process that ran them; those whose worker died, from the process that owns the run.

    Args:
        limit: how often at most, for each case.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._deaths: dict[str, int] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Run an item again when all of its attempt is over, with whatever other plugins put around it."""
        handled = yield
        trial, session = item.stash.get(TRIAL, None), item.session
        if trial is not None and trial.runs_again and not (session.shouldstop or session.shouldfail):
            item.ihook.pytest_runtest_protocol(item=item, nextitem=nextitem)
        return handled

    def review(self, report: pytest.TestReport, trial: Trial) -> None:
        """Mark the report of a case that will be run again; its record says what ended this attempt."""
        record = trial.reported
        if not report.failed or record is None:
            return
        if report.when == "teardown":
            again = trial.runs_again
        else:
            again = trial.retries < self._limit and _is_of_the_machine(record, trial.error)
            trial.runs_again = again
        if again:
            report.outcome = AGAIN  # type: ignore[assignment]

    @pytest.hookimpl(trylast=True, optionalhook=True)  # another plugin may have put it back already
    def pytest_handlecrashitem(self, crashitem: str, report: Any, sched: Any) -> None:
        """Give a case whose worker died to another worker."""
        deaths = self._deaths[crashitem] = self._deaths.get(crashitem, 0) + 1
        if report.outcome != "failed" or deaths > self._limit:
            return
        # --dist loadscope, loadfile and loadgroup have put it back themselves.
        with suppress(NotImplementedError):
            sched.mark_test_pending(crashitem)
        report.outcome = AGAIN


def status_of_retry(report: Any) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """Return how pytest shows a report that another attempt follows, None for any other."""
    if report.outcome != AGAIN:
        return None
    if report.when == "teardown":
        return "", "", ("", {})
    return AGAIN, "R", ("RERUN", {"yellow": True})


def note_retries(record: Json, attempts: Sequence[Json]) -> None:
    """Say in a final record which earlier attempts the machine ended; one that was taken over says it already."""
    if record["reused"] is None:
        record["warnings"] = record["warnings"] + [
            f"an earlier attempt ended as {attempt['reason_code']}: {attempt['reason']}"
            for attempt in attempts
            if attempt["reason_code"] in INFRASTRUCTURE
        ]


def _is_of_the_machine(record: Record, error: BaseException | None) -> bool:
    return record.verdict == "error" and (
        record.reason_code in INFRASTRUCTURE or timeout_verdict(error) is not None
    )
