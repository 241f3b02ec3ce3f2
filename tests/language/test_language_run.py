"""Whole runs of the language cases, as a user starts them."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from small_models import save_model
from suites import ROOT, Finished, own_cores, own_environment

DATASETS = ("siqa_gen", "winograd_ppl", "piqa_ll")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "small_one")


class LanguageRun:
    """Runs ``cases/test_language.py`` in a directory of its own."""

    def __init__(self, directory: Path, model: Path) -> None:
        self.directory, self._model = directory, model

    def command(self, *arguments: str, model: bool = True) -> list[str]:
        named = ["--hf-path", str(self._model), "--dtype", "float32"] if model else []
        return [
            "taskset", "--cpu-list", own_cores(arguments), sys.executable, "-m", "pytest",
            str(ROOT / "cases/test_language.py"), "-p", "no:cacheprovider", "--rootdir", str(ROOT),
            "-c", str(ROOT / "pytest.ini"), "--limit", "12", "--work-dir", str(self.directory / "out"),
            *named, *arguments,
        ]  # fmt: skip

    def run(self, *arguments: str, model: bool = True) -> Finished:
        finished = subprocess.run(
            self.command(*arguments, model=model), cwd=self.directory, capture_output=True, text=True, check=False,
            timeout=300, env=own_environment(),
        )  # fmt: skip
        return self.finished(finished.returncode, finished.stdout + finished.stderr)

    def finished(self, code: int, output: str) -> Finished:
        latest = self.directory / "out/latest"
        results = latest / "evaluation_results.json"
        return Finished(
            code, output, json.loads(results.read_text()) if results.is_file() else None, latest.resolve()
        )


@pytest.fixture
def language(tmp_path, model):
    return LanguageRun(tmp_path, model)


def comparable(finished: Finished) -> list[dict]:
    """Return the records without what may differ between two runs: times, and the order of work."""
    return [
        {key: value for key, value in record.items() if key not in ("duration_s", "engine")}
        for record in finished.results["records"]
    ]


def test_serial_and_parallel_runs_give_the_same_records_and_a_later_run_reuses_or_shows_them(language):
    serial = language.run("--datasets", *DATASETS, "--junitxml", str(language.directory / "junit.xml"), "-v")
    assert serial.code == 0, serial.output
    assert [record["verdict"] for record in serial.results["records"]] == ["pass"] * 3
    parallel = language.run("--datasets", ",".join(DATASETS), "-n", "2", "--reuse", "latest", "--limit", "11")
    assert parallel.code == 0, parallel.output
    assert "data differ" in parallel.output  # other rows: asked anew
    parallel = language.run("--datasets", *DATASETS, "-n", "2")
    assert comparable(parallel) == comparable(serial)
    assert parallel.results["summary"]["kinds"]["language"]["passed"] == 3

    shown = serial.output
    assert "accuracy" in shown
    assert "synthetic rows" in shown
    with open(serial.directory / "summary/summary.csv") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["dataset", "metric", "mode", "small_one"]
    assert {row[0] for row in rows[1:]} == {*DATASETS, "all"}
    properties = {
        entry.get("name"): entry.get("value")
        for case in ElementTree.parse(language.directory / "junit.xml").iter("testcase")
        if "piqa" in case.get("name")
        for entry in case.iter("property")
    }
    assert properties["metric"] == "accuracy"
    assert properties["samples"] == "12"
    configuration = json.loads((serial.directory / "configs/language.json").read_text())
    assert list(configuration["datasets"]) == list(DATASETS)

    again = language.run("--datasets", *DATASETS, "--reuse", parallel.directory.name)
    assert [record["engine"]["asked"] for record in again.results["records"]] == [0, 0, 0]
    assert comparable(again) == comparable(serial)
    table = language.run("--datasets", *DATASETS, "--mode", "viz", "--reuse", "latest")
    assert comparable(table) == comparable(serial)


def test_what_fails_is_a_failed_test_and_a_marked_cell_and_the_rest_goes_on(language, tmp_path):
    mine, rows = tmp_path / "mine", tmp_path / "rows"
    mine.mkdir()
    rows.mkdir()
    (mine / "toy_ll.py").write_text(
        "from bench.language.spec import Dataset, LogLikelihood, Source\n"
        "DATASET = Dataset(source=Source(hub='nobody/toy', rows='toy'), prompt='{q}', gold='label',\n"
        "    inference=LogLikelihood(), choices=(' yes', ' no'))\n"
    )
    (mine / "bad_ll.py").write_text((mine / "toy_ll.py").read_text().replace("{q}", "{nothing}"))
    (rows / "toy.jsonl").write_text('{"q": "Is it?", "label": 0}\n{"q": "Was it?", "label": 1}\n')
    broken = tmp_path / "broken_model"
    broken.mkdir()
    config = tmp_path / "eval.py"
    (tmp_path / "shared_models.py").write_text(
        f"small = {{'name': 'small', 'path': {str(language._model)!r}}}\n"
    )
    config.write_text(
        "from shared_models import small\n"
        f"models = [small, {{'name': 'broken', 'path': {str(broken)!r}}}]\n"
        "datasets = [{'name': 'toy_ll', 'min_score': 0}, 'bad_ll', 'nowhere_ll']\n"
    )
    finished = language.run(
        "--config", str(config), "--dataset-dir", str(mine), "--data", str(rows), "-n", "2", model=False
    )
    assert finished.code == 1, finished.output
    found = {record["id"]: record["reason_code"] for record in finished.results["records"]}
    assert found == {
        "small-toy_ll": "passed", "small-bad_ll": "data_failed", "small-nowhere_ll": "data_failed",
        "broken-toy_ll": "model_failed", "broken-bad_ll": "data_failed", "broken-nowhere_ll": "data_failed",
    }  # fmt: skip
    with open(finished.directory / "summary/summary.csv") as file:
        table = {row[0]: row[3:] for row in csv.reader(file)}
    assert table["toy_ll"][1] == "ERROR: model_failed"
    assert table["bad_ll"] == ["ERROR: data_failed"] * 2
    assert all("INCOMPLETE" in cell for cell in table["all"])
    assert "no dataset is named 'nowhere_ll'" in finished.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "hf_opt_125"], "hf_opt_125m"),
        (["--mode", "eval"], "--reuse"),
        (["--reuse", "never"], "no such run"),
        (["--data", "nowhere"], "no such folder"),
        (["--config", "nowhere.py"], "no such file"),
        (["--min-score", "siqa_gen"], "DATASET=NUMBER"),
        (["--batch-size", "some"], "--batch-size some"),
        (["--limit", "0"], "--limit 0"),
        (["--dataset-dir", "nowhere"], "no such folder"),
        (["--model-kwargs", "a=1"], "--hf-path"),
    ],
)
def test_an_option_that_cannot_be_used_names_itself(language, arguments, message):
    finished = language.run(*arguments, "--collect-only", model=False)
    assert finished.code == 4, finished.output
    assert message in finished.output
    assert "Traceback" not in finished.output


def test_killed_run_is_taken_up_where_it_stopped(language):
    command = language.command(
        "--datasets", "hellaswag_ll", "arc_easy_ll", "--batch-size", "1", "--limit", "100"
    )
    process = subprocess.Popen(
        command,
        cwd=language.directory,
        env=own_environment(),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    predictions = language.directory / "out/latest/predictions/small_one"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(predictions.glob("*.jsonl")):
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = sum(len(file.read_text().splitlines()) for file in predictions.glob("*.jsonl"))
    finished = language.run(
        "--datasets", "hellaswag_ll", "arc_easy_ll", "--reuse", "latest", "--limit", "100"
    )
    assert finished.code == 0, finished.output
    reused = sum(record["engine"]["reused"] for record in finished.results["records"])
    assert 0 < reused <= kept
    assert sum(record["engine"]["asked"] for record in finished.results["records"]) == 200 - reused
