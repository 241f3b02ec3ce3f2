"""A row per case and a column per metric, for every kind whose records have metrics, a score and a gain."""

from __future__ import annotations

from collections.abc import Sequence

from bench.core.estimate import Estimate
from bench.core.kind import Rows, Section
from bench.core.record import Gain, Record
from bench.report.results import control_note

HEADER = ("case", "verdict", "n")
GAIN_HEADER = "gain over the trivial"


def metric_section(kind: str, records: Sequence[Record], shown: Sequence[str]) -> Section:
    """Return the section of a kind.

    Args:
        kind: of the cases.
        records: of the kind, in their order.
        shown: metrics that the table has room for; the JSON has all. The one that is a record's score is always shown.
    """
    return Section(kind, metric_rows(records, shown), control_note(records))


def metric_rows(records: Sequence[Record], shown: Sequence[str]) -> Rows:
    """Return the table: its header first. A case that failed has marked cells, never empty ones."""
    found = {name for record in records for name in record.metrics or ()}
    scores = [record.score.metric for record in records if record.score is not None and record.score.metric]
    names = [name for name in dict.fromkeys([*shown, *scores]) if name in found]
    return [(*HEADER, *names, GAIN_HEADER), *(_row(record, names) for record in records)]


def metric_headline(record: Record) -> str:
    """Return the score and the gain of a record in a few words, such as ``rmse 1.101 [0.989, 1.210] of 160``."""
    parts, score, gain = [], record.score, record.gain
    if score is not None and score.value is not None:
        parts.append(f"{score.metric} {score.text()}" + (f" of {score.n}" if score.n is not None else ""))
    if gain is not None and gain.value is not None:
        parts.append(f"{signed(gain, '.3f')} over {gain.over}")
    return ", ".join(parts)


def describe_gain(gain: Gain) -> str:
    """Return what a verdict's reason says of a gain, such as ``gain in mrr@10 +0.4 [+0.3, +0.5] over random order``."""
    return f"gain in {gain.metric} {signed(gain)} over {gain.over}"


def signed(estimate: Estimate, form: str = ".4g") -> str:
    """Return value and interval, each with its sign."""
    if estimate.value is None:
        return "-"
    interval = f" [{estimate.low:+{form}}, {estimate.high:+{form}}]" if estimate.has_interval else ""
    return f"{estimate.value:+{form}}{interval}"


SCORE_PROPERTIES = (
    ("metric", ("score", "metric")),
    ("score", ("score", "value")),
    ("score_low", ("score", "low")),
    ("score_high", ("score", "high")),
    ("required_score", ("score", "required")),
    ("samples", ("score", "n")),
)
"""JUnit properties of a score, each with its path in the record's JSON."""


def _row(record: Record, names: Sequence[str]) -> tuple[str, ...]:
    metrics, gain, verdict = record.metrics, record.gain, record.verdict
    if not metrics:
        marked = f"{verdict.upper()}: {record.reason_code}"
        return (record.id, verdict, "-", *(marked for _ in names), marked)
    if record.control is not None and verdict == "pass":
        verdict = "pass (rejected)"
    n = record.score.n if record.score is not None else None
    cells = (metrics[name].text() if name in metrics else "not asked" for name in names)
    return (record.id, verdict, "-" if n is None else str(n), *cells, "-" if gain is None else gain.text())
