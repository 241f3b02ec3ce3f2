"""A case with its record: whatever ends it is in the record, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.core.case import Case
from bench.core.record import Verdict, blank_record, settle, verdict_of


class RecordedEvaluation:
    """Base of the evaluations of regression and reranking cases.

    Args:
        case: the case.

    Attributes:
        record: the case's record, complete at every moment as far as things went.
    """

    def __init__(self, case: Case) -> None:
        self.record = blank_record(case)
        self._began = time.monotonic()

    @contextmanager
    def _recording(self) -> Iterator[None]:
        """Write whatever is raised into the record, on its way to pytest."""
        try:
            yield
        except Exception as error:
            self._settle(verdict_of(error))
            raise

    def _settle(self, verdict: Verdict) -> None:
        settle(self.record, verdict)
        self.record["duration_s"] = time.monotonic() - self._began


def metric_record(
    value: float | None, low: float | None, high: float | None, n: int | None, reason: str | None
) -> dict[str, Any]:
    """Return a metric as a record has it.

    Args:
        value: None where it does not exist.
        low, high: ends of its interval, None where it has none.
        n: samples or queries.
        reason: why there is no value or no interval.
    """
    return {"value": value, "low": low, "high": high, "n": n, "percent": False, "reason": reason}
