"""From an item's end to its record and its report: what pytest, JUnit and the terminal get to see."""

from __future__ import annotations

from typing import Any

import pytest
from _pytest._code.code import ReprEntryNative, ReprExceptionInfo, ReprFileLocation, ReprTraceback

from bench.core.errors import ModelgateError
from bench.core.record import Verdict, apply_verdict, blank_record, plain_problems, verdict_of
from bench.report.figures import figures

# What JUnit shows as properties of a case; a few scalars, the rest is in the JSON.
_PROPERTIES = (
    ("verdict", ("verdict",)),
    ("reason_code", ("reason_code",)),
    ("speedup", ("speedup", "value")),
    ("speedup_low", ("speedup", "low")),
    ("speedup_high", ("speedup", "high")),
    ("required_speedup", ("speedup", "required")),
    ("quality_loss", ("quality", "loss")),
    ("quality_loss_high", ("quality", "high")),
    ("latency_s", ("latency", "value")),
    ("achievement_rate", ("achievement_rate",)),
    ("metric", ("score", "metric")),
    ("score", ("score", "value")),
    ("score_low", ("score", "low")),
    ("score_high", ("score", "high")),
    ("required_score", ("score", "required")),
    ("samples", ("score", "n")),
    ("unparsed", ("score", "unparsed")),
)


def attach_record(
    item: pytest.Item,
    call: pytest.CallInfo[None],
    report: pytest.TestReport,
    case: Any,
    record: dict[str, Any] | None,
    skip_inconclusive: bool,
) -> None:
    """Put the case's record on the report of the phase that decided it.

    A failing set-up and a failing teardown decide too: nothing that went wrong leaves a pass behind.
    """
    if report.when != "call" and report.passed:
        return
    record = blank_record(case) if record is None else record
    error = call.excinfo.value if call.excinfo is not None else None
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        code = "requirement_absent" if reason.startswith("Skipped: needs ") else "skipped"
        apply_verdict(record, Verdict("skip", code, reason.removeprefix("Skipped: ")))
    elif report.when == "teardown" or (record["verdict"] == "pass" and report.failed):
        apply_verdict(
            record, Verdict("error", "internal_error", f"{report.when}: {type(error).__name__}: {error}")
        )
    elif report.failed and record["reason_code"] == "not_run":
        apply_verdict(record, verdict_of(error))
    problems = plain_problems(record)
    if problems:
        record = blank_record(case)
        apply_verdict(record, Verdict("error", "internal_error", f"the record is not plain: {problems[0]}"))
        report.outcome = "failed"
    if record["duration_s"] is None:
        record["duration_s"] = call.duration
    report.modelgate_record = record  # type: ignore[attr-defined]
    # On the item: JUnit takes them from the report of the teardown, which copies them from there.
    item.user_properties += [
        (name, value) for name, path in _PROPERTIES if (value := _dig(record, path)) is not None
    ]
    if report.failed and (isinstance(error, AssertionError | ModelgateError)) and report.when != "teardown":
        report.longrepr = _short_repr(item, record["reason"], getattr(error, "output_tail", ""))
    if skip_inconclusive and record["verdict"] == "inconclusive" and report.failed:
        path, line, _ = item.location
        report.outcome = "skipped"
        report.longrepr = (path, (line or 0) + 1, f"Skipped: {record['reason']}")


def crash_record(blank: dict[str, Any], report: pytest.TestReport) -> dict[str, Any]:
    """Return the record of a case whose worker died while it ran."""
    record = dict(blank)
    said = " ".join(str(report.longrepr).split())
    apply_verdict(
        record,
        Verdict(
            "error",
            "worker_died",
            f"{said}; the other cases went on, run this one alone with -n 0 to see why",
        ),
    )
    return record


def status_words(report: Any) -> tuple[str, str, str] | None:
    """Return pytest's ``(category, letter, word)`` with the verdict's figures, or None to leave it alone."""
    record = getattr(report, "modelgate_record", None)
    if record is None or report.when != "call":
        return None
    word = {"inconclusive": "INCONCLUSIVE", "error": "ERROR"}.get(record["verdict"], report.outcome.upper())
    letter = {"passed": ".", "failed": "F", "skipped": "s"}[report.outcome]
    return report.outcome, letter, f"{word} {figures(record)}".rstrip()


def _dig(record: dict[str, Any], path: tuple[str, ...]) -> Any:
    """Return the value at a path of keys, None where the record's kind has no such key."""
    value: Any = record
    for key in path:
        value = (value or {}).get(key)
    return value


def _short_repr(item: pytest.Item, reason: str, tail: str) -> ReprExceptionInfo:
    """Return a failure that is its reason, and below it what the arm printed last.

    pytest's own classes survive the way from a worker to the controller, and JUnit takes its message
    from the crash location; a plain string would put the whole output there.
    """
    path, line, _ = item.location
    lines = [reason] + ([f"--- last output ---\n{tail}"] if tail else [])
    entry = ReprEntryNative([text + "\n" for text in lines])
    return ReprExceptionInfo(
        reprtraceback=ReprTraceback([entry], extraline=None, style="native"),
        reprcrash=ReprFileLocation(str(path), (line or 0) + 1, reason),
    )
