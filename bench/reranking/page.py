"""What the page of a run shows of reranking cases: recall curves, gains, and the queries that lost most."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bench.core.page import (
    Bar,
    Block,
    CaseView,
    Curve,
    CurvePlot,
    Fold,
    Forest,
    Grid,
    KindView,
    NamedFacts,
    PageRequest,
)
from bench.core.record import Record
from bench.report.html.plain import common_blocks, gain_bars, metric_blocks, score_bars
from bench.report.html.sample_tables import as_number, read_samples
from bench.report.html.words import number

_AT = re.compile(r"recall@(\d+)")
_MOST_CURVES = 6
_MOST_QUERIES = 25


def view(request: PageRequest) -> KindView:
    """Return the view of the reranking cases of a run."""
    tasks = [record for record in request.records if record.control is None]
    bars = [bar for record in tasks for bar in _gains(record, record.id)]
    blocks = _curves(tasks, "Recall by cut-off")
    if bars:
        blocks.append(
            Forest(
                bars,
                "Gain over a random order and over the base run",
                "Above zero is better than that order.",
            )
        )
    return KindView(blocks, {record.id: case_view(request, record) for record in request.records})


def _gains(record: Record, label: str) -> list[Bar]:
    found = gain_bars(record, label)
    base = record.body.base
    if base is not None and base.value is not None:
        found.append(Bar(f"{label}, over {base.over}", base, 0.0, case=record.id).judged(strict=True))
    return found


def _curves(records: Sequence[Record], title: str) -> list[Block]:
    curves = []
    for record in records:
        points = sorted(
            (int(match[1]), estimate)
            for name, estimate in (record.metrics or {}).items()
            if (match := _AT.fullmatch(name)) and estimate.value is not None
        )
        if len(points) > 1:
            curves.append(Curve(record.id, [(float(k), estimate) for k, estimate in points]))
    if not curves:
        return []
    left = len(curves) - _MOST_CURVES
    note = f"{left} more stand with their cases." if left > 0 else ""
    return [CurvePlot(curves[:_MOST_CURVES], "cut-off k", "recall@k", title, note)]


def case_view(request: PageRequest, record: Record) -> CaseView:
    """Return the view of a case."""
    body = record.body
    bars = [*score_bars(record), *_gains(record, "gain")]
    blocks: list[Block] = [Forest(bars)] if bars else []
    blocks += _curves([record], "Recall by cut-off")
    blocks += _lost(request, record)
    blocks.append(Fold("All metrics", metric_blocks(record)))
    facts = [("ties", f"{body.tie_rule or '–'}")]
    if body.queries is not None:
        facts += [
            ("queries", f"{body.queries.total}, {body.queries.scored} of them scored"),
            ("candidates", number(body.queries.candidates)),
            ("not like the others", body.queries.remarks or "none"),
        ]
    blocks.append(Fold("Queries, data and files", [NamedFacts(facts), *common_blocks(record)]))
    return CaseView(blocks, bars, {"model": [body.ranker], "dataset": [body.dataset]})


def _lost(request: PageRequest, record: Record) -> list[Block]:
    """Return the queries that lost most: against the base run where there is one, else those with the least score."""
    metric = record.score.metric if record.score is not None else None
    rows = [row for row in read_samples(request, record, "metric_") if row.get("state", "scored") == "scored"]
    if metric is None or not rows or metric not in rows[0]:
        return []
    before = next((name for name in rows[0] if name.startswith(metric) and "base" in name), None)
    random = next((name for name in rows[0] if name.startswith(metric) and "random" in name), None)

    def gain(row: Mapping[str, str]) -> float:
        return (as_number(row[metric]) or 0.0) - (as_number(row.get(before or "")) or 0.0)

    lost = [row for row in sorted(rows, key=gain) if before is None or gain(row) < 0]
    columns = [
        name for name in (metric, before, random, "relevant", "relevant_candidates", "candidates") if name
    ]
    cells = [
        (row.get("query", ""), *(number(as_number(row.get(name))) for name in columns))
        for row in lost[:_MOST_QUERIES]
    ]
    title = (
        f"Queries with the least {metric}"
        if before is None
        else f"Queries that lost {metric} against the base run"
    )
    note = (
        f"{len(lost)} of {len(rows)} queries."
        if before is not None
        else f"The first {len(cells)} of {len(rows)} queries."
    )
    header = ("query", *(name.replace("_", " ") for name in columns))
    return [Grid(header, cells, title, numeric=frozenset(range(1, len(header))), note=note)] if cells else []


def samples(request: PageRequest, record: Record) -> Mapping[str, Mapping[str, float]]:
    """Return the values of each scored query, by metric."""
    rows = [row for row in read_samples(request, record, "metric_") if row.get("state", "scored") == "scored"]
    found: dict[str, dict[str, float]] = {}
    for name in record.metrics or {}:
        values = {row.get("query", ""): as_number(row.get(name)) for row in rows}
        if values and all(value is not None for value in values.values()):
            found[name] = {query: value for query, value in values.items() if value is not None}
    return found
