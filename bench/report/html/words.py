"""Numbers and verdicts as the page shows them."""

from __future__ import annotations

import math
from datetime import datetime

from bench.core.estimate import Estimate
from bench.core.record import Record

GLYPHS = {"pass": "✓", "fail": "✕", "inconclusive": "~", "error": "!", "skip": "–"}
"""A verdict as a sign, so that colour is never the only difference."""
VERDICT_WORDS = {
    "pass": "passed",
    "fail": "failed",
    "inconclusive": "inconclusive",
    "error": "error",
    "skip": "skipped",
}
NO_VALUE = "–"


def number(value: float | int | None, unit: str = "") -> str:
    """Return a number with three digits that count, in the manner of its unit.

    Example:
        >>> number(1.5, "x"), number(12.345, "%"), number(0.000123), number(1234567.0), number(None)
        ('1.50×', '12.3 %', '0.000123', '1,234,567', '–')
    """
    if value is None or not math.isfinite(value):
        return NO_VALUE
    text = _digits(value, unit)
    if unit == "x":
        return f"{text}×"
    return f"{text} {unit}" if unit else text


def interval(estimate: Estimate) -> str:
    """Return the ends of an interval in brackets; empty where there is none."""
    if not estimate.has_interval:
        return ""
    return f"[{_digits(estimate.low, estimate.unit)}, {_digits(estimate.high, estimate.unit)}]"


def estimate_text(estimate: Estimate) -> str:
    """Return value and interval."""
    return f"{number(estimate.value, estimate.unit)} {interval(estimate)}".strip()


def _digits(value: float | None, unit: str) -> str:
    if value is None or not math.isfinite(value):
        return NO_VALUE
    if unit == "x":
        return f"{value:z.2f}"
    if unit == "%":
        return f"{value:z.1f}"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 100 or value == int(value):
        return f"{value:z.0f}"
    return f"{value:.3g}"


def seconds(value: float | None) -> str:
    """Return a duration.

    Example:
        >>> seconds(0.25), seconds(75.2), seconds(7260)
        ('0.25 s', '1 min 15 s', '2 h 1 min')
    """
    if value is None:
        return NO_VALUE
    if value < 10:
        return f"{value:.2g} s"
    if value < 60:
        return f"{value:.0f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def elapsed(started: object, finished: object) -> float | None:
    """Return the seconds between two moments in ISO format, None where one is not known."""
    try:
        return (datetime.fromisoformat(str(finished)) - datetime.fromisoformat(str(started))).total_seconds()
    except (ValueError, TypeError):
        return None


def moment(text: object) -> str:
    """Return a moment in ISO format as date and time of day; what is none, as it is."""
    try:
        return datetime.fromisoformat(str(text)).strftime("%Y-%m-%d %H:%M %Z").strip()
    except ValueError:
        return str(text or NO_VALUE)


def verdict_words(record: Record) -> str:
    """Return what became of a case."""
    if record.is_undecided:
        return "not run"
    if record.control is not None and record.verdict == "pass":
        return "rejected, as it must be"
    if record.control is not None and record.verdict == "fail":
        return "not rejected"
    return VERDICT_WORDS.get(record.verdict, record.verdict)
