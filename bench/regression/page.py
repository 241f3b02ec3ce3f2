"""What the page of a run shows of regression cases: gold against predicted scores, and the worst texts to read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bench.core.estimate import Estimate
from bench.core.page import (
    Block,
    CaseView,
    Dot,
    DotPlot,
    Fold,
    Forest,
    KindView,
    NamedFacts,
    PageRequest,
    TextSample,
    TextSamples,
)
from bench.core.record import Record
from bench.report.html.plain import (
    common_blocks,
    estimate_row,
    estimates,
    gain_bars,
    metric_blocks,
    score_bars,
)
from bench.report.html.sample_tables import as_number, read_samples
from bench.report.html.words import number, seconds

_MOST_DOTS = 300
_MOST_SAMPLES = 8
_MOST_CHARACTERS = 1_200


def view(request: PageRequest) -> KindView:
    """Return the view of the regression cases of a run."""
    tasks = [record for record in request.records if record.control is None]
    bars = [bar for record in tasks for bar in gain_bars(record, record.id)]
    blocks: list[Block] = (
        [Forest(bars, "Gain over a trivial predictor", "Above zero is better than the trivial one.")]
        if bars
        else []
    )
    return KindView(blocks, {record.id: case_view(request, record) for record in request.records})


def case_view(request: PageRequest, record: Record) -> CaseView:
    """Return the view of a case."""
    bars = [*score_bars(record), *gain_bars(record)]
    blocks: list[Block] = [Forest(bars)] if bars else []
    rows = read_samples(request, record)
    for target in _targets(rows):
        blocks += _plot(rows, target)
    blocks += _worst(rows)
    blocks.append(Fold("All metrics", metric_blocks(record)))
    for group in record.body.groups:
        named = " of ".join(filter(None, (group.target, group.group)))
        table = estimates("", [estimate_row(name, found) for name, found in group.metrics.items()])
        blocks.append(Fold(f"Group {named}: {group.low:g} to {group.high:g}", [table]))
    blocks.append(Fold("Training, data and files", [*_training(record), *common_blocks(record)]))
    model = record.body.training.model if record.body.training is not None else "predictions"
    return CaseView(blocks, bars, {"model": [model], "dataset": [record.body.task]})


def _targets(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the endings of the columns of each target; one that is empty where there is one target."""
    names = list(rows[0]) if rows else []
    return [name.removeprefix("gold") for name in names if name == "gold" or name.startswith("gold_")]


def _plot(rows: Sequence[Mapping[str, str]], target: str) -> list[Block]:
    pairs = [
        (row.get("key", ""), as_number(row.get(f"gold{target}")), as_number(row.get(f"prediction{target}")))
        for row in rows
    ]
    known = [(key, gold, found) for key, gold, found in pairs if gold is not None and found is not None]
    step = -(-len(known) // _MOST_DOTS) or 1
    dots = [
        Dot(key, Estimate(metric="gold", value=gold), Estimate(metric="predicted", value=found))
        for key, gold, found in known[::step]
    ]
    if not dots:
        return []
    note = "On the dotted line both are equal."
    if step > 1:
        note += f" Every {step}th of {len(known)} texts is drawn."
    name = target.removeprefix("_")
    return [
        DotPlot(
            dots,
            "gold",
            "predicted",
            f"Gold against predicted{f': {name}' if name else ''}",
            is_square=True,
            note=note,
        )
    ]


def _worst(rows: Sequence[Mapping[str, str]]) -> list[Block]:
    errors = [name for name in (rows[0] if rows else ()) if name == "error" or name.startswith("error_")]

    def size(row: Mapping[str, str]) -> float:
        return max((abs(as_number(row.get(name)) or 0.0) for name in errors), default=0.0)

    if not errors:
        return []
    samples = [
        TextSample(
            row.get("key", ""),
            f"off by {number(size(row))}",
            [(name, value) for name, value in _shown(row) if value],
        )
        for row in sorted(rows, key=size, reverse=True)[:_MOST_SAMPLES]
    ]
    return [TextSamples(samples, "The worst texts")]


def _shown(row: Mapping[str, str]) -> list[tuple[str, str]]:
    left_out = {"run", "task", "data", "split", "key", "raw"}
    return [
        (
            name,
            number(figure)
            if (figure := as_number(value)) is not None and name != "text"
            else value[:_MOST_CHARACTERS],
        )
        for name, value in row.items()
        if name not in left_out and not name.startswith("raw_")
    ]


def _training(record: Record) -> list[Block]:
    training = record.body.training
    if training is None:
        return []
    facts = [
        ("started from", training.started_from),
        ("examples", number(training.examples)),
        ("parameters", number(training.parameters)),
        ("epochs, steps", f"{number(training.epochs)}, {number(training.steps)}"),
        ("took", seconds(training.seconds)),
        ("loss of the last epoch", number(training.loss)),
    ]
    return [NamedFacts(facts, "Training")]


def samples(request: PageRequest, record: Record) -> Mapping[str, Mapping[str, float]]:
    """Return values of each text whose means are the errors of a task with one target.

    That of the root mean squared error is made linear: its mean is the error itself, and its scatter that of the error.
    """
    errors = {
        row["key"]: error
        for row in read_samples(request, record)
        if "key" in row and (error := as_number(row.get("error"))) is not None
    }
    root = math.sqrt(math.fsum(error**2 for error in errors.values()) / len(errors)) if errors else 0.0
    found = {"mae": {key: abs(error) for key, error in errors.items()}}
    if root > 0:
        found["rmse"] = {key: (root + error**2 / root) / 2 for key, error in errors.items()}
    return found
