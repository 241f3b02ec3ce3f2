"""The project that CONTRIBUTING ports to three files: what the page shows is what ships, and it does what the page says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import openpyxl
import pages
import pytest
from comparing import by_id
from suites import ROOT

CONTRIBUTING, SECTION = "CONTRIBUTING.md", "Bring a project of your own to regression"
EXAMPLES = ROOT / "fixtures/examples"


def cells(file: Path) -> list[tuple]:
    return list(openpyxl.load_workbook(file).active.iter_rows(values_only=True))


def test_the_page_shows_the_files_that_ship():
    shown = {
        block.file: block.text for block in pages.blocks(CONTRIBUTING, SECTION) if block.file is not None
    }
    assert set(shown) == {f"essays/{name}.py" for name in ("__init__", "dataset", "model", "task")}
    for name, text in shown.items():
        assert text == (EXAMPLES / name).read_text(encoding="utf-8"), name


def test_rows_of_the_project_are_those_that_its_script_writes(tmp_path):
    spec = importlib.util.spec_from_file_location("make_essays", EXAMPLES / "make_essays.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.write(tmp_path)
    assert (tmp_path / "train.csv").read_bytes() == (EXAMPLES / "essays/train.csv").read_bytes()
    assert cells(tmp_path / "evaluation.xlsx") == cells(EXAMPLES / "essays/evaluation.xlsx")


@pytest.mark.slow
def test_the_project_is_trained_and_judged_by_the_command_of_the_page(tmp_path):
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    finished = pages.run(tmp_path, pages.command(CONTRIBUTING, SECTION))
    assert finished.code == 0, finished.output
    record = by_id(finished)["essays"]
    assert (record["verdict"], record["data"]["label"]) == ("pass", "made-up essays, synthetic")
    assert record["data"]["rows"] == {"train": 100, "evaluation": 58, "validation": 18}
    assert record["data"]["left_out"]["evaluation"]["reasons"] == {
        "with a blank text": 1,
        "without a score": 1,
    }
    assert (
        "train rows that were left out: 1 with a blank text (first: train-3), 1 without a score"
        in finished.output
    )
    training = record["training"]
    assert list(training["upcast"]) == ["float16"]
    assert training["upcast"]["float16"] > 500_000
    assert (training["settings"]["max_grad_norm"], len(training["validation"]["history"])) == (1.0, 20)
    assert training["loss"] is not None
    assert record["files"] == {"csv-bom": "results/essays/samples.csv", "xlsx": "results/essays/samples.xlsx"}
    assert (finished.directory / record["files"]["csv-bom"]).read_bytes().startswith(b"\xef\xbb\xbfrun,task,")
    header, *rows = cells(finished.directory / record["files"]["xlsx"])
    assert header == ("run", "task", "data", "split", "key", "gold", "raw", "prediction", "error", "text")
    assert len(rows) == 58
    for row in rows:
        assert row[7] == pytest.approx(row[6] * 10 + 2)
