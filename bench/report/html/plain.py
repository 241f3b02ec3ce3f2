"""The view of a kind that gives none: what the records of all kinds have."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.core.estimate import Estimate
from bench.core.page import Bar, Block, CaseView, Grid, KindView, NamedFacts, PageRequest, Prose
from bench.core.record import Record
from bench.report.html.words import estimate_text, number, seconds

_CLOSED = ("pass", "skip")


def plain_view(request: PageRequest) -> KindView:
    """Return the view of a kind from the common keys alone."""
    return KindView(cases={record.id: plain_case(record) for record in request.records})


def plain_case(record: Record) -> CaseView:
    """Return the view of a case from the common keys alone."""
    return CaseView(
        blocks=[*metric_blocks(record), *common_blocks(record)],
        bars=[*score_bars(record), *gain_bars(record)],
    )


def score_bars(record: Record, label: str = "") -> list[Bar]:
    """Return the score of a record next to what is required of it, in a list."""
    score = record.score
    if score is None or score.value is None or score.metric is None:
        return []
    span = (0.0, 100.0) if score.percent else None
    bar = Bar(
        label or score.metric, score, score.required, not score.higher_is_better, case=record.id, span=span
    )
    return [bar.judged()]


def gain_bars(record: Record, label: str = "gain") -> list[Bar]:
    """Return the gain of a record against zero, in a list."""
    gain = record.gain
    if gain is None or gain.value is None:
        return []
    return [Bar(label, gain, 0.0, case=record.id).judged(strict=True)]


def metric_blocks(record: Record) -> list[Block]:
    """Return the table of all metrics, and the gain."""
    rows = [estimate_row(name, estimate) for name, estimate in (record.metrics or {}).items()]
    if record.gain is not None:
        rows.append(estimate_row(f"gain in {record.gain.metric} over {record.gain.over}", record.gain))
    return [estimates("What was measured", rows)] if rows else []


def estimates(title: str, rows: Sequence[Sequence[str]]) -> Grid:
    """Return a table of `estimate_row`."""
    return Grid(("metric", "value", "95 % interval", "n", "note"), rows, title, numeric=frozenset({1, 2, 3}))


def estimate_row(name: str, estimate: Estimate) -> tuple[str, str, str, str, str]:
    """Return name, value, interval, number of samples and why something is missing."""
    text = estimate_text(estimate)
    value, _, interval = text.partition(" [")
    n = number(estimate.n) if estimate.n is not None else ""
    return name, value, f"[{interval}" if interval else "", n, estimate.reason or ""


def common_blocks(record: Record) -> list[Block]:
    """Return what any record may have besides its metrics: warnings, attempts, output, files, what it depends on."""
    found: list[Block] = []
    if record.control is not None:
        found.append(
            NamedFacts(
                [
                    ("must be rejected with", record.control.expected),
                    (
                        "found",
                        f"{record.control.verdict or 'nothing yet'}, {record.control.reason_code or 'no code'}",
                    ),
                    ("because", record.control.reason or "–"),
                ],
                "Control",
            )
        )
    if record.warnings:
        found.append(Prose(record.warnings, "Warnings", "unsure"))
    if record.attempts:
        rows = [
            (one.verdict, one.reason_code, seconds(one.duration_s), one.reason) for one in record.attempts
        ]
        found.append(Grid(("verdict", "code", "took", "reason"), rows, "Earlier attempts"))
    if record.output_tail:
        found.append(Prose([record.output_tail], "Last output", is_verbatim=True))
    facts = [("reason code", record.reason_code)]
    if record.duration_s is not None and math.isfinite(record.duration_s):
        facts.append(("took", seconds(record.duration_s)))
    if record.reused is not None:
        facts.append(("taken over from run", record.reused))
    facts += sorted((record.files or {}).items())
    found.append(NamedFacts(facts, "Record and files"))
    return found
