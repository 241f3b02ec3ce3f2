"""A report on its way from a worker: what arrives is what was sent, whatever a test has recorded."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bench.run.workers import PackedReports

RECORD = {
    "id": "a",
    "score": {"value": 0.1, "n": 3, "reason": None},
    "warnings": ["é", "1 < 2"],
    "order": 2**70,
}
WORKER, OWNER = SimpleNamespace(workerinput={}), SimpleNamespace()


def sent(config: Any, data: dict[str, Any] | None) -> Any:
    """Return what leaves a process."""
    hook = PackedReports().pytest_report_to_serializable(config)
    next(hook)
    with pytest.raises(StopIteration) as stopped:
        hook.send(data)
    return stopped.value.value


def arrived(data: dict[str, Any]) -> dict[str, Any]:
    """Return what a report is made of in the process that owns the run."""
    assert PackedReports().pytest_report_from_serializable(data) is None, "pytest makes the report"
    return data


def test_what_a_worker_sends_is_short_and_arrives_unchanged() -> None:
    report = {
        "modelgate_record": RECORD,
        "user_properties": [("verdict", "pass"), ("score", 0.1)],
        "when": "call",
    }
    left = sent(WORKER, dict(report))
    assert {type(left[name]) for name in ("modelgate_record", "user_properties")} == {bytes}
    found = arrived(left)
    assert found == report
    assert {type(pair) for pair in found["user_properties"]} == {tuple}


@pytest.mark.parametrize(
    "value", [b"\x00\xff", float("inf"), (1, 2), {3}], ids=["bytes", "inf", "tuple", "set"]
)
def test_a_property_that_json_would_change_is_left_to_xdist(value: object) -> None:
    report = {"user_properties": [("mine", value)], "when": "teardown"}
    left = sent(WORKER, dict(report))
    assert left == report
    assert arrived(left) == report


def test_a_plugin_that_writes_reports_elsewhere_gets_the_record() -> None:
    report = {"modelgate_record": RECORD, "user_properties": [("a", 1)]}
    assert sent(OWNER, dict(report)) == report


def test_a_report_without_a_record_stays_as_it_is() -> None:
    report = {"when": "setup", "outcome": "passed"}
    assert arrived(sent(WORKER, dict(report))) == report
    assert sent(WORKER, None) is None
