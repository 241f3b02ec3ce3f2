"""What the page of a run shows of language cases: models and datasets, and answers to read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.core.estimate import Estimate
from bench.core.files import read_jsonl
from bench.core.page import (
    Bar,
    Block,
    CaseView,
    Fold,
    Forest,
    Grid,
    KindView,
    NamedFacts,
    PageRequest,
    TextSample,
    TextSamples,
)
from bench.core.record import Json, Record
from bench.language.report import table_rows
from bench.report.html.plain import common_blocks, estimate_row, estimates, metric_blocks, score_bars
from bench.report.html.words import number

_MOST_SAMPLES = 6  # of each sort
_MOST_CHARACTERS = 1_200
_MOST_BARS = 60


def view(request: PageRequest) -> KindView:
    """Return the view of the language cases of a run."""
    header, *rows = table_rows(request.records)
    blocks: list[Block] = [Grid(header, rows, "Models and datasets", note="A score with its 95 % interval.")]
    bars = [bar for record in request.records for bar in score_bars(record, record.id)]
    if bars:
        blocks.append(Forest(bars[:_MOST_BARS], "Scores", _left_out(len(bars) - _MOST_BARS)))
    return KindView(blocks, {record.id: case_view(request, record) for record in request.records})


def _left_out(count: int) -> str:
    return f"{count} more stand in the table." if count > 0 else ""


def case_view(request: PageRequest, record: Record) -> CaseView:
    """Return the view of a case."""
    body = record.body
    bars = score_bars(record)
    blocks: list[Block] = [Forest(bars)] if bars else []
    blocks += _reference(record)
    blocks += _samples(request, record)
    groups = body.groups or {}
    if groups:
        rows = [estimate_row(name, score) for name, score in groups.items()]
        blocks.append(Fold(f"By part ({len(groups)})", [estimates("", rows)]))
    blocks.append(Fold("All metrics", metric_blocks(record)))
    facts = [
        ("protocol", " · ".join(filter(None, (body.protocol, body.protocol_note)))),
        ("rows", str(record.data or "–")),
    ]
    if body.shard.of > 1:
        facts.append(("shard", f"{body.shard.index} of {body.shard.of}"))
    if body.sample is not None:
        facts.append(("sample", f"{body.sample.rows} of {body.sample.of} rows, seed {body.sample.seed}"))
    if body.judge is not None:
        facts.append(("judged by", body.judge.model))
    if body.engine is not None:
        facts.append(
            ("asked", f"{body.engine.asked}, {body.engine.reused} taken over, in {body.engine.seconds:.3g} s")
        )
    blocks.append(Fold("Protocol, engine and files", [NamedFacts(facts), *common_blocks(record)]))
    return CaseView(
        blocks, bars, {"model": [body.model], "dataset": [body.dataset], "method": [body.mode or "–"]}
    )


def _reference(record: Record) -> list[Block]:
    found = record.body.reference
    if found is None:
        return []
    difference = Estimate(
        metric=f"difference to {found.run}", value=found.difference, low=found.low, high=found.high, n=found.n,
        unit=record.score.unit if record.score is not None else "",
    )  # fmt: skip
    return [Forest([Bar(f"difference to {found.run}", difference, -found.margin)], "Against the reference")]


def _samples(request: PageRequest, record: Record) -> list[Block]:
    """Return answers that could not be read, and wrong ones."""
    results, predictions = _results(request.file(record, "results")), request.file(record, "predictions")
    values: Sequence[Any] = next(iter((results.get("values") or {}).values()), [])
    keys = results.get("keys") or []
    is_asked_once = len(values) == len(keys) and all(isinstance(value, int | float) for value in values)
    if predictions is None or not is_asked_once or not keys:
        return []
    read = results.get("read") or [""] * len(keys)
    golds = results.get("golds") or [""] * len(keys)
    said = list(zip(keys, values, read, golds, strict=False))
    unread = [entry for entry in said if entry[2] is None]
    best = max(values)
    wrong = [entry for entry in said if entry[2] is not None and entry[1] < best] if best <= 1 else []
    wrong.sort(key=lambda entry: entry[1])
    chosen = [*unread[:_MOST_SAMPLES], *wrong[:_MOST_SAMPLES]]
    stored = _predictions(predictions, {str(key) for key, *_ in chosen})
    samples = [
        TextSample(
            f"question {key}",
            "not read" if answer is None else "wrong" if value == 0 else f"score {number(value)}",
            list(_parts(stored[str(key)], answer, gold)),
            "unsure" if answer is None else "bad",
        )
        for key, value, answer, gold in chosen
        if str(key) in stored
    ]
    if not samples:
        return []
    note = f"{len(unread)} of {len(said)} answers could not be read, {len(wrong)} were wrong."
    return [TextSamples(samples, "Answers to read", note)]


def _parts(stored: Mapping[str, Any], answer: str | None, gold: str) -> Iterator[tuple[str, str]]:
    prompt = stored.get("prompt")
    if prompt is None and stored.get("messages"):
        prompt = "\n".join(f"{turn.get('role')}: {turn.get('content')}" for turn in stored["messages"])
    # The question itself stands at the end, after the examples.
    yield "question", _cut(str(prompt or "–"), keep_end=True)
    choices: Sequence[str] = stored.get("choices") or []
    if choices:
        chances = stored.get("loglikelihoods") or []
        shown = [f"{text}  ({chance:.2f})" for text, chance in zip(choices, chances, strict=False)] or choices
        yield "choices", _cut("\n".join(map(str, shown)))
    if stored.get("thought"):
        yield "thought", _cut(str(stored["thought"]))
    if stored.get("text") is not None:
        yield "answer", _cut(str(stored["text"])) + (" [cut at its limit]" if stored.get("cut") else "")
    if answer:
        yield "read as", _cut(answer)
    if gold:
        yield "right", _cut(gold)


def _cut(text: str, *, keep_end: bool = False) -> str:
    if len(text) <= _MOST_CHARACTERS:
        return text
    return f"… {text[-_MOST_CHARACTERS:]}" if keep_end else f"{text[:_MOST_CHARACTERS]} …"


def _results(path: Path | None) -> Json:
    if path is None:
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def samples(request: PageRequest, record: Record) -> Mapping[str, Mapping[str, float]]:
    """Return the value of each question by metric, in the unit of the table."""
    results = _results(request.file(record, "results"))
    keys, found = results.get("keys") or [], {}
    for name, values in (results.get("values") or {}).items():
        estimate = (record.metrics or {}).get(name)
        if (
            estimate is not None
            and len(values) == len(keys)
            and all(isinstance(value, int | float) for value in values)
        ):
            factor = 100.0 if estimate.percent else 1.0
            found[name] = {str(key): factor * value for key, value in zip(keys, values, strict=True)}
    return found


def _predictions(path: Path, keys: set[str]) -> dict[str, Json]:
    try:
        return {str(row["key"]): row for _, row in read_jsonl(path) if str(row.get("key")) in keys}
    except ValueError:
        return {}
