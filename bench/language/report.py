"""The table of a language run: a row per dataset, metric and mode, a column per model, and groups below."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import harmonic_mean
from typing import Any

from bench.report.figures import score_text
from bench.report.layout import aligned, table

Records = list[dict[str, Any]]


@dataclass(frozen=True)
class Group:
    """Datasets whose first metrics are put into one number.

    Attributes:
        name: in the table.
        datasets: their names; empty for all of the run.
        how: ``average``, ``weighted`` (by the number of samples) or ``harmonic``.
    """

    name: str
    datasets: tuple[str, ...] = ()
    how: str = "average"


DEFAULT_GROUPS = (Group("all", how="average"), Group("all", how="weighted"), Group("all", how="harmonic"))


@dataclass(frozen=True)
class Cell:
    """What stands at one place of the table.

    Attributes:
        text: the score with its interval, or why there is none.
        value: the score, None where there is none.
        n: samples.
        percent: whether the score is a percentage.
    """

    text: str
    value: float | None = None
    n: int = 0
    percent: bool = True


def language_rows(records: Records, groups: Sequence[Group] = DEFAULT_GROUPS) -> list[tuple[str, ...]]:
    """Return the table: its header first. A combination that failed has a marked cell, never an empty one."""
    models = list(dict.fromkeys(record["model"] for record in records))
    datasets = list(dict.fromkeys((record["dataset"], record["mode"]) for record in records))
    combinations: dict[tuple[str, str], Records] = {}
    for record in records:
        combinations.setdefault((record["model"], record["dataset"]), []).append(record)
    rows = [("dataset", "metric", "mode", *models)]
    first: dict[tuple[str, str], Cell] = {}
    for dataset, mode in datasets:
        mine = [combinations.get((model, dataset), []) for model in models]
        names = list(dict.fromkeys(name for shards in mine for name in _metrics(shards))) or ["-"]
        for name in names:
            cells = [_cell(shards, name) for shards in mine]
            rows.append((dataset, name, mode, *(cell.text for cell in cells)))
            if name == names[0]:
                first |= {(model, dataset): cell for model, cell in zip(models, cells, strict=True)}
    if len(datasets) > 1:
        for group in groups:
            chosen = group.datasets or tuple(dataset for dataset, _ in datasets)
            texts = [
                _group_text([first.get((model, name)) for name in chosen], group.how) for model in models
            ]
            rows.append((group.name, group.how, "-", *texts))
    return rows


def write_language_summary(directory: Path, records: Records, groups: Sequence[Group]) -> None:
    """Write the table as ``summary/summary.txt``, ``.csv`` and ``.md`` below a run's directory."""
    rows = language_rows(records, groups)
    folder = directory / "summary"
    folder.mkdir(exist_ok=True)
    (folder / "summary.txt").write_text("\n".join(aligned(rows)) + "\n", encoding="utf-8")
    (folder / "summary.md").write_text(table(rows[0], rows[1:]) + "\n", encoding="utf-8")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    (folder / "summary.csv").write_text(text.getvalue(), encoding="utf-8")


def _metrics(shards: Records) -> list[str]:
    joined = _joined(shards)
    return list(joined["metrics"]) if joined else []


def _joined(shards: Records) -> dict[str, Any] | None:
    """Return the record that holds the scores of the whole dataset."""
    return next((record for record in shards if record["metrics"]), None)


def _cell(shards: Records, metric: str) -> Cell:
    if not shards:
        return Cell("not asked")
    joined = _joined(shards)
    if joined is None:
        bad = next((record for record in shards if record["verdict"] not in ("pass", "skip")), shards[0])
        if bad["verdict"] == "pass":
            return Cell("not evaluated")
        return Cell(f"{bad['verdict'].upper()}: {bad['reason_code']}")
    score = joined["metrics"].get(metric)
    if score is None:
        return Cell("not asked")
    text = score_text(score)
    if score["unparsed"]:
        text += f" ({score['unparsed']} unparsed)"
    missed = next((record for record in shards if record["verdict"] not in ("pass", "skip")), None)
    if missed is not None:
        text += f" {missed['verdict'].upper()}"
    return Cell(text, score["value"], score["n"], score["percent"])


def _group_text(cells: list[Cell | None], how: str) -> str:
    """Put the cells of a group into one number: not from fewer than all of them, and only from percentages."""
    missing = sum(cell is None or cell.value is None for cell in cells)
    if missing:
        return f"INCOMPLETE: {missing} of {len(cells)} missing"
    scored = [
        (cell.value, cell.n) for cell in cells if cell is not None and cell.value is not None and cell.percent
    ]
    if not scored:
        return "-"
    values = [value for value, _ in scored]
    if how == "weighted":
        number = sum(value * n for value, n in scored) / sum(n for _, n in scored)
    elif how == "harmonic":
        number = harmonic_mean([max(value, 0.0) for value in values])
    else:
        number = sum(values) / len(values)
    return f"{number:.1f}"
