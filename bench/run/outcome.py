"""From an item's end to its record and its report: what pytest, JUnit and the terminal get to see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from _pytest._code.code import ReprEntryNative, ReprExceptionInfo, ReprFileLocation, ReprTraceback

from bench.core.case import Case
from bench.core.errors import ModelgateError
from bench.core.kind import Kind
from bench.core.places import Places
from bench.core.record import Json, Record, plain_problems
from bench.core.verdict import Verdict, verdict_of
from bench.report.tables import figures
from bench.run.attempts import FINAL_OUTCOMES, Trial
from bench.run.time_limit import timeout_verdict

# What JUnit shows as properties of a case of any kind; a few scalars, the rest is in the JSON.
_PROPERTIES = (
    ("verdict", ("verdict",)),
    ("reason_code", ("reason_code",)),
    ("achievement_rate", ("achievement_rate",)),
    ("metric", ("score", "metric")),
    ("score", ("score", "value")),
    ("score_low", ("score", "low")),
    ("score_high", ("score", "high")),
    ("required_score", ("score", "required")),
    ("samples", ("score", "n")),
    ("unparsed", ("score", "unparsed")),
    ("cut", ("score", "cut")),
)


def attach_record(
    item: pytest.Item,
    report: pytest.TestReport,
    case: Case,
    kind: Kind,
    trial: Trial,
    skip_inconclusive: bool,
    places: Places,
) -> None:
    """Put the case's record on the report of the phase that decided it.

    A failing set-up and a failing teardown decide too: nothing that went wrong leaves a pass behind.
    """
    if report.when != "call" and report.passed:
        return
    record = case.blank() if trial.evaluated is None else trial.evaluated
    if record.reused is None:  # else they are those of the run that it was taken over from
        record.attempts = trial.earlier
    error, duration = trial.error, report.duration
    timeout = timeout_verdict(error) if report.failed else None
    if timeout is not None:
        record.apply(timeout)
    elif report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        code = "requirement_absent" if reason.startswith("Skipped: needs ") else "skipped"
        record.apply(Verdict("skip", code, reason.removeprefix("Skipped: ")))
    elif report.when == "teardown" or (record.verdict == "pass" and report.failed):
        record.apply(Verdict("error", "internal_error", f"{report.when}: {type(error).__name__}: {error}"))
    elif report.failed and record.is_undecided:
        record.apply(verdict_of(error))
    elif report.passed and record.is_undecided and not hasattr(report, "wasxfail"):
        # Green means that everything that was asked is decided.
        record.apply(
            Verdict(
                "error",
                "not_decided",
                "the test ended before the case was decided; expected it to ask for everything that the case has to hold, "
                "as `assert evaluation.verdict().holds` does",
            )
        )
        report.outcome, report.longrepr = "failed", record.reason
    if record.duration_s is None:
        record.duration_s = duration
    plain = _plain(record, kind, places)
    if isinstance(plain, str):
        record = case.blank()
        record.attempts = trial.earlier
        record.apply(Verdict("error", "internal_error", f"the record is not plain: {plain}"))
        record.duration_s = duration
        plain = places.tidy(record.to_json())
        report.outcome = "failed"
    trial.reported = record
    report.modelgate_record = plain  # type: ignore[attr-defined]
    report.modelgate_words = figures(record)  # type: ignore[attr-defined]
    properties = {name: _dig(plain, path) for name, path in (*_PROPERTIES, *kind.properties)}
    # JUnit takes them from the report of the teardown, which copies them from the item. A failed teardown replaces what
    # the test itself came to.
    item.user_properties[:] = [
        *(pair for pair in item.user_properties if pair[0] not in properties),
        *((name, value) for name, value in properties.items() if value is not None),
    ]
    report.user_properties = list(item.user_properties)
    reason = plain["reason"]
    if timeout is not None:
        report.longrepr = _short_repr(item, reason, places.tidy(str(report.longrepr)), "where it was")
    elif report.failed and (isinstance(error, AssertionError | ModelgateError)) and report.when != "teardown":
        report.longrepr = _short_repr(item, reason, places.tidy(getattr(error, "output_tail", "")))
    if skip_inconclusive and record.verdict == "inconclusive" and report.failed:
        path, line, _ = item.location
        report.outcome = "skipped"
        report.longrepr = (path, (line or 0) + 1, f"Skipped: {plain['reason']}")


def _plain(record: Record, kind: Kind, places: Places) -> Json | str:
    """Return the record as plain builtins with relative paths, or what in it is none."""
    try:
        record.headline = kind.headline(record)
        plain = places.tidy(record.to_json())
    except TypeError as error:  # such as a NumPy scalar
        return str(error)
    return next(iter(plain_problems(plain)), plain)


def crash_record(record: Record, report: pytest.TestReport) -> Json:
    """Return the record of a case whose worker died while it ran, from its blank one; the report tells its reason."""
    said = " ".join(str(report.longrepr).split())
    record.apply(
        Verdict(
            "error",
            "worker_died",
            f"{said}; the other cases went on, run this one alone with -n 0 to see why",
        )
    )
    report.longrepr = record.reason
    return record.to_json()


def status_words(report: Any) -> tuple[str, str, str] | None:
    """Return pytest's ``(category, letter, word)`` with what was measured, or None to leave it alone.

    What another plugin made of the outcome is left alone: a test that will run again, an expected failure.
    """
    record: Json | None = getattr(report, "modelgate_record", None)
    if record is None or report.when != "call" or report.outcome not in FINAL_OUTCOMES:
        return None
    if hasattr(report, "wasxfail"):
        return None
    word = {"inconclusive": "INCONCLUSIVE", "error": "ERROR"}.get(record["verdict"], report.outcome.upper())
    letter = {"passed": ".", "failed": "F", "skipped": "s"}[report.outcome]
    return report.outcome, letter, f"{word} {report.modelgate_words}".rstrip()


def _dig(record: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """Return the value at a path of keys, None where the record's kind has no such key."""
    value: Any = record
    for key in path:
        value = (value or {}).get(key)
    return ("; ".join(map(str, value)) or None) if isinstance(value, list) else value


def _short_repr(item: pytest.Item, reason: str, tail: str, title: str = "last output") -> ReprExceptionInfo:
    """Return a failure that is its reason, and below it what the arm printed last.

    pytest's own classes survive the way from a worker to the controller, and JUnit takes its message
    from the crash location; a plain string would put the whole output there.
    """
    path, line, _ = item.location
    lines = [reason] + ([f"--- {title} ---\n{tail}"] if tail else [])
    entry = ReprEntryNative([text + "\n" for text in lines])
    return ReprExceptionInfo(
        reprtraceback=ReprTraceback([entry], extraline=None, style="native"),
        reprcrash=ReprFileLocation(str(path), (line or 0) + 1, reason),
    )
