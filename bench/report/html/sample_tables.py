"""Reads the tables of samples that a run wrote, for the page."""

from __future__ import annotations

import csv
from contextlib import suppress
from pathlib import Path

from bench.core.page import PageRequest
from bench.core.record import Record

_LARGEST = 40_000_000


def read_samples(request: PageRequest, record: Record, stem: str = "") -> list[dict[str, str]]:
    """Return the rows of a table of samples as texts, by column; nothing where the run wrote none that can be read.

    Args:
        request: of the page.
        record: whose files name it.
        stem: before the format in the names of files, such as ``metric_``.
    """
    for name in (f"{stem}csv", f"{stem}csv-bom", f"{stem}parquet"):
        path = request.file(record, name)
        if path is not None and path.stat().st_size <= _LARGEST:
            with suppress(OSError, ValueError, csv.Error, ImportError):
                return _parquet(path) if path.suffix == ".parquet" else _csv(path)
    return []


def _csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [dict(row) for row in csv.DictReader(file)]


def _parquet(path: Path) -> list[dict[str, str]]:
    from pyarrow import parquet  # noqa: PLC0415  slow, and only a run without CSV needs it

    rows = parquet.read_table(path).to_pylist()
    return [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]


def as_number(text: str | None) -> float | None:
    """Return the number of a cell, None where it holds none."""
    try:
        return float(text or "")
    except ValueError:
        return None
