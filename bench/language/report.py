"""The table of a language run: a row per dataset, metric and mode, a column per model, and groups below."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import harmonic_mean
from typing import Any

from bench.core.errors import LanguageProblem
from bench.core.estimate import Estimate
from bench.core.kind import Finish, Rows, Section
from bench.core.record import Record, Score
from bench.language.config import DEFAULT_GROUPS, SummaryGroup
from bench.language.harness.cases import GROUP_MODE
from bench.language.harness.declared import describe
from bench.language.harness.options import HarnessSettings
from bench.language.library import DATASETS, load_dataset
from bench.language.protocol import NOT_COMPARABLE, OWN_PROTOCOL
from bench.report.layout import aligned, table


@dataclass(frozen=True)
class Cell:
    """One place of the table.

    Attributes:
        text: the score with its interval, or why there is none.
        value: the score; None if there is none.
        n: samples.
        percent: whether the score is a percentage.
    """

    text: str
    value: float | None = None
    n: int = 0
    percent: bool = True


def headline(record: Record) -> str:
    """Return score, interval and number of samples in a few words; those of the shard before the whole is scored."""
    whole = record.score is not None and record.score.value is not None
    score = record.score if whole else record.body.part
    if score is None:
        return ""
    return ", ".join([f"{score.metric} {score.text()} of {score.n}", *counts(score)])


def counts(score: Any) -> list[str]:
    """Return how many answers could not be read and how many were cut, where there are any."""
    numbers = ((getattr(score, name, None), name) for name in ("unparsed", "cut"))
    return [f"{number} {name}" for number, name in numbers if number]


def section(finish: Finish) -> Section:
    """Return the section of the summary."""
    data = sorted({record.data for record in finish.records if record.data})
    notes = [f"rows: {', '.join(data)}"] if data else []
    notes += protocol_notes(finish.records)
    return Section("language", table_rows(finish.records, finish.options.config.groups), notes)


def write_files(finish: Finish) -> None:
    """Write the table below ``summary/``, and what was asked for as ``configs/language.json``."""
    write_summary(finish.directory, finish.records, finish.options.config.groups)
    settings = finish.options
    names = dict.fromkeys(record.body.dataset for record in finish.records)
    resolved = {
        "models": [asdict(model) for model in settings.models],
        "datasets": {name: _declared(name, settings.harness) for name in names},
        "judge": None if settings.judge is None else asdict(settings.judge),
        "files": settings.config.files,
        "earlier": {name: _text(getattr(settings, name)) for name in ("reuse", "reference")},
    }
    path = finish.directory / "configs" / "language.json"
    plain = finish.places.tidy(json.loads(json.dumps(resolved, default=repr)))
    path.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")


def write_summary(directory: Path, records: Sequence[Record], groups: Sequence[SummaryGroup]) -> None:
    """Write the table as ``summary/summary.txt``, ``.csv`` and ``.md`` below a run's directory."""
    rows, notes = table_rows(records, groups), protocol_notes(records)
    folder = directory / "summary"
    folder.mkdir(exist_ok=True)
    (folder / "summary.txt").write_text("\n".join([*aligned(rows), *notes]) + "\n", encoding="utf-8")
    (folder / "summary.md").write_text(
        "\n\n".join([table(rows[0], rows[1:]), *notes]) + "\n", encoding="utf-8"
    )
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    (folder / "summary.csv").write_text(text.getvalue(), encoding="utf-8")


def protocol_notes(records: Sequence[Record]) -> list[str]:
    """Return what a reader of the scores should know of their protocols and judges, in sentences."""
    own = list(
        dict.fromkeys(record.body.dataset for record in records if record.body.protocol == OWN_PROTOCOL)
    )
    judges: dict[str, dict[str, None]] = {}
    for record in records:
        if record.body.judge is not None:
            judges.setdefault(record.body.judge.model, {})[record.body.dataset] = None
    notes = [f"protocol {OWN_PROTOCOL}: {NOT_COMPARABLE} ({', '.join(own)})"] if own else []
    return notes + [f"judged by {name}: {', '.join(datasets)}" for name, datasets in judges.items()]


def table_rows(records: Sequence[Record], groups: Sequence[SummaryGroup] = DEFAULT_GROUPS) -> Rows:
    """Return the table, its header first. A case that failed has a marked cell, never an empty one."""
    models = list(dict.fromkeys(record.body.model for record in records))
    datasets = list(dict.fromkeys((record.body.dataset, record.body.mode) for record in records))
    protocols = {record.body.dataset: record.body.protocol for record in records if record.body.protocol}
    combinations: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        combinations.setdefault((record.body.model, record.body.dataset), []).append(record)
    rows: Rows = [("dataset", "metric", "mode", "protocol", *models)]
    first: dict[tuple[str, str], Cell] = {}
    for dataset, mode in datasets:
        mine = [combinations.get((model, dataset), []) for model in models]
        names = list(dict.fromkeys(name for shards in mine for name in _metrics(shards))) or ["-"]
        for name in names:
            cells = [_cell(shards, name) for shards in mine]
            protocol = protocols.get(dataset, "-")
            rows.append((dataset, name, mode, protocol, *(cell.text for cell in cells)))
            if name == names[0]:
                first |= {(model, dataset): cell for model, cell in zip(models, cells, strict=True)}
                parts = [_parts(shards) for shards in mine]
                for part in dict.fromkeys(part for found in parts for part in found):
                    texts = [found[part].text() if part in found else "-" for found in parts]
                    rows.append((dataset, f"{name} of {part}", mode, protocol, *texts))
    if len(datasets) > 1:
        for group in groups:
            # The groups of lm-evaluation-harness are means of other rows.
            chosen = group.datasets or tuple(dataset for dataset, mode in datasets if mode != GROUP_MODE)
            texts = [
                _group_text([first.get((model, name)) for name in chosen], group.rule) for model in models
            ]
            rows.append((group.name, group.rule, "-", "-", *texts))
    return rows


def _metrics(shards: Sequence[Record]) -> dict[str, Estimate]:
    """Return the metrics of the whole dataset; they are on one record of its shards."""
    return next((record.metrics for record in shards if record.metrics), {})


def _parts(shards: Sequence[Record]) -> dict[str, Score]:
    """Return the first metric of each part of the dataset; it is where the metrics are."""
    return next((record.body.groups for record in shards if record.body.groups), {})


def _cell(shards: Sequence[Record], metric: str) -> Cell:
    if not shards:
        return Cell("not asked")
    missed = next((record for record in shards if record.verdict not in ("pass", "skip")), None)
    metrics = _metrics(shards)
    if not metrics:
        bad = missed or shards[0]
        if bad.verdict == "pass":
            return Cell("not evaluated")
        return Cell(f"{bad.verdict.upper()}: {bad.reason_code}")
    score = metrics.get(metric)
    if score is None:
        return Cell("not asked")
    text = score.text()
    if counted := counts(score):
        text += f" ({', '.join(counted)})"
    if missed is not None:
        text += f" {missed.verdict.upper()}"
    return Cell(text, score.value, score.n or 0, score.percent)


def _group_text(cells: Sequence[Cell | None], rule: str) -> str:
    """Return one number for the cells of a group: only if none is missing, and only from percentages."""
    missing = sum(cell is None or cell.value is None for cell in cells)
    if missing:
        return f"INCOMPLETE: {missing} of {len(cells)} missing"
    scored = [
        (cell.value, cell.n) for cell in cells if cell is not None and cell.value is not None and cell.percent
    ]
    if not scored:
        return "-"
    values = [value for value, _ in scored]
    if rule == "weighted":
        number = sum(value * n for value, n in scored) / sum(n for _, n in scored)
    elif rule == "harmonic":
        number = harmonic_mean([max(value, 0.0) for value in values])
    else:
        number = sum(values) / len(values)
    return f"{number:.1f}"


def _declared(name: str, harness: HarnessSettings | None) -> Any:
    """Return what a dataset's file, or a task, declares, or why that is not known."""
    if harness is not None and name in harness.selection:
        return describe(harness.selection, name)
    try:
        return {"file": Path(DATASETS.place(name).file).name, **asdict(load_dataset(name))}
    except (LanguageProblem, KeyError) as problem:
        return str(problem.args[0])


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
