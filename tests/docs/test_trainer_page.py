"""docs/trainer.md: what takes the place of a Trainer's own functions does what the page says."""

from __future__ import annotations

import csv
import importlib.util
import json
import runpy
from types import SimpleNamespace

import numpy as np
import pages
import pytest

PAGE = "docs/trainer.md"


def test_compute_metrics_of_the_page_never_looks_at_padding(tmp_path):
    pages.write(tmp_path, (PAGE, "Padded lists"))
    spec = importlib.util.spec_from_file_location("padded_metrics", tmp_path / "padded_metrics.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # Three lists of 4, 2 and 3 candidates; the first hit is at ranks 1, 2 and 3. Padding has the best scores of all.
    labels = np.array([[1, 0, 1, 0], [0, 1, -10, -10], [0, 0, 1, -10]])
    scores = np.array([[4.0, 3, 2, 1], [2, 1, 99, np.nan], [-9, -10, -11, np.inf]])
    found = module.compute_metrics(SimpleNamespace(predictions=scores, label_ids=labels))
    assert found == pytest.approx(
        {
            "recall@1": (1 / 2) / 3, "recall@5": 1, "recall@10": 1,
            "mrr@1": 1 / 3, "mrr@5": (1 + 1 / 2 + 1 / 3) / 3, "mrr@10": (1 + 1 / 2 + 1 / 3) / 3, "mrr": 11 / 18,
        }
    )  # fmt: skip


@pytest.mark.slow
def test_images_are_ranked_and_leave_a_row_per_query(tmp_path, monkeypatch, capfd):
    section = "Images, and a table with a row per query"
    pages.write(tmp_path, (PAGE, section))
    assert pages.command(PAGE, section) == ["python", "digits.py"]
    monkeypatch.chdir(tmp_path)
    runpy.run_path("digits.py", run_name="__main__")  # in this process, which has imported most of it
    printed = json.loads(
        next(line for line in capfd.readouterr().out.splitlines() if line.startswith('{"mrr'))
    )
    assert printed["queries_total"] == 40
    with (tmp_path / "digits/metric.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["query"] for row in rows] == [f"digit-{number}" for number in range(1700, 1740)]
    assert {row["step"] for row in rows} == {"40"}
    scored = [row for row in rows if row["state"] == "scored"]
    assert 0 < len(scored) <= 40
    mean = np.mean([float(row["mrr@10"]) for row in scored])
    assert printed["mrr@10"] == pytest.approx(mean)
    by_chance = np.mean([float(row["mrr@10 in random order"]) for row in scored])
    assert mean > 1.5 * by_chance  # it has learned something
