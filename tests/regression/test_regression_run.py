"""Whole runs of the regression cases with a folder of the user's, as a user starts them."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import openpyxl
import pytest
from pyarrow import parquet
from suites import ROOT, Finished, own_cores, own_environment

from bench.regression.options import resolve

EXPECTED = {
    "notes": "passed",
    "gaps": "passed",
    "constant": "baseline_not_beaten",
    "control-constant-control": "rejected_as_expected",
    "control-wrong-control": "not_rejected",
    "diverging": "training_failed",
    "not-a-number": "inference_failed",
    "unlabelled": "data_failed",
    "twice": "data_failed",
    "houseless": "data_failed",
    "half-points": "data_failed",
    "no-dataset": "data_failed",
    "no-model": "model_failed",
    "no-argument": "model_failed",
    "no-encoder": "model_failed",
    "undefined": "task_invalid",
}


def run(directory: Path, *arguments: str) -> Finished:
    command = [
        "taskset", "--cpu-list", own_cores(arguments), sys.executable, "-m", "pytest",
        str(ROOT / "cases/test_regression.py"), "-p", "no:cacheprovider", "--rootdir", str(ROOT),
        "-c", str(ROOT / "pytest.ini"), "--work-dir", "out", *arguments,
    ]  # fmt: skip
    done = subprocess.run(
        command,
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=own_environment(),
    )
    latest = directory / "out/latest"
    results = latest / "evaluation_results.json"
    return Finished(
        done.returncode,
        done.stdout + done.stderr,
        json.loads(results.read_text()) if results.is_file() else None,
        latest.resolve(),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A directory in which the user's own tasks lie."""
    directory = tmp_path_factory.mktemp("user")
    shutil.copytree(Path(__file__).with_name("regression_user_dir"), directory / "own_tasks")
    return directory


@pytest.fixture(scope="module")
def parallel(folder) -> Finished:
    """All tasks of the folder on two workers."""
    return run(
        folder, "-n", "2", "--user-dir", "own_tasks", "--tables", "parquet,csv,xlsx", "--junitxml", "junit.xml", "-v"
    )  # fmt: skip


def records(finished: Finished) -> dict[str, dict]:
    assert finished.results is not None, finished.output
    return {record["id"]: record for record in finished.results["records"]}


def comparable(record: dict) -> dict:
    """Return a record without times and the place among the cases of its run."""
    kept = {key: value for key, value in record.items() if key not in ("duration_s", "order")}
    training = record["training"]
    kept["training"] = training and {key: value for key, value in training.items() if key != "seconds"}
    return kept


def test_every_task_of_the_folder_gets_its_verdict_whatever_befalls_the_others(parallel):
    found = records(parallel)
    assert {name: record["reason_code"] for name, record in found.items()} == EXPECTED, parallel.output
    assert parallel.code == 1
    assert parallel.results["summary"]["controls"] == {"total": 2, "rejected": 1}
    for record in found.values():
        assert record["kind"] == "regression"
        assert "\n" not in record["reason"]
    assert "nearest: dropout" in found["no-argument"]["reason"]
    assert "nearest: notes" in found["no-dataset"]["reason"]
    assert "nearest: encoder" in found["no-model"]["reason"]
    assert "tasks.py:" in found["undefined"]["reason"]
    assert "Traceback" not in parallel.output


def test_record_says_what_was_trained_on_what_and_how_well_it_predicts(parallel):
    record = records(parallel)["notes"]
    assert record["data"]["label"] == "made-up notes of a test"
    assert record["data"]["rows"] == {"train": 64, "evaluation": 40}
    training = record["training"]
    assert (training["started_from"], training["examples"], training["seed"]) == (
        "pretrained tiny-encoder",
        64,
        0,
    )
    assert (training["first_step"], training["steps"], training["epochs"]) == (0, 24, 6.0)
    assert list(record["metrics"]) == ["pearson", "spearman", "mae", "rmse", "qwk"]
    for metric in record["metrics"].values():
        assert metric["low"] <= metric["value"] <= metric["high"]
        assert (metric["n"], metric["reason"], metric["percent"]) == (40, None, False)
    assert record["score"]["metric"] == "rmse"
    assert record["gain"]["over"] == "the mean"
    assert 0 < record["gain"]["low"] < record["gain"]["value"] < record["gain"]["high"]


def test_constant_prediction_is_shown_with_its_reason(parallel):
    metrics = records(parallel)["constant"]["metrics"]
    assert metrics["pearson"]["value"] is None
    assert "constant" in metrics["pearson"]["reason"]
    assert metrics["rmse"]["value"] > 0


def test_rows_that_were_left_out_are_counted_and_shown(parallel):
    record = records(parallel)["gaps"]
    assert record["data"]["rows"] == {"train": 59, "evaluation": 35}
    assert record["data"]["left_out"]["evaluation"] == {
        "rows": 5,
        "reasons": {
            "without a score": 1,
            "with a score that is no number": 1,
            "with a score outside 1 to 6": 3,
        },
    }
    assert record["score"]["n"] == 35
    assert "evaluation rows that were left out: 1 without a score" in parallel.output
    assert "evaluation rows with a house that no training row has: 1" in parallel.output


def test_table_of_samples_is_the_same_in_each_format(parallel):
    record = records(parallel)["notes"]
    assert record["files"] == [f"results/notes/samples.{suffix}" for suffix in ("parquet", "csv", "xlsx")]
    exact = parquet.read_table(parallel.directory / record["files"][0]).to_pylist()
    assert list(exact[0]) == [
        "run", "task", "data", "split", "key", "gold", "raw", "prediction", "error", "text",
    ]  # fmt: skip
    assert len(exact) == 40
    first = exact[0]
    assert (first["run"], first["task"], first["split"]) == (parallel.directory.name, "notes", "evaluation")
    assert (first["data"], first["key"]) == (record["data"]["hash"], "evaluation-0")
    for row in exact:
        assert row["prediction"] == pytest.approx(1 + 5 * row["raw"])
        assert row["error"] == pytest.approx(row["prediction"] - row["gold"])
    rmse = (sum(row["error"] ** 2 for row in exact) / 40) ** 0.5
    assert record["score"]["value"] == pytest.approx(rmse)
    with open(parallel.directory / record["files"][1], newline="") as file:
        rows = list(csv.DictReader(file))
    assert [
        {**row, **{name: float(row[name]) for name in ("gold", "raw", "prediction", "error")}} for row in rows
    ] == exact
    sheet = openpyxl.load_workbook(parallel.directory / record["files"][2]).active
    header, *cells = ([cell.value for cell in row] for row in sheet.iter_rows())
    assert header == list(exact[0])
    assert [row[4] for row in cells] == [row["key"] for row in exact]
    assert [row[7] for row in cells] == pytest.approx([row["prediction"] for row in exact])


def test_junit_and_table_show_the_score(parallel, folder):
    shown = {
        case.get("name"): {entry.get("name"): entry.get("value") for entry in case.iter("property")}
        for case in ElementTree.parse(folder / "junit.xml").iter("testcase")
    }
    assert shown["test_regression[notes]"]["metric"] == "rmse"
    assert shown["test_regression[notes]"]["samples"] == "40"
    assert "ERROR: training_failed" in parallel.output
    assert "controls: 1 of 2 rejected" in parallel.output


def test_serial_run_gives_the_same_records_and_task_selects(parallel, folder):
    names = ("notes", "gaps", "constant", "diverging", "nots")
    serial = run(folder, "--user-dir", "own_tasks", "--task", *names, "--tables", "parquet", "csv,xlsx")
    found = records(serial)
    assert list(found) == list(names)
    for name in names[:-1]:
        assert comparable(found[name]) == comparable(records(parallel)[name])
    assert found["nots"]["reason_code"] == "task_invalid"
    assert "no task is named 'nots'; nearest: notes" in found["nots"]["reason"]


def test_collecting_imports_no_framework(folder):
    code = (
        "import sys, pytest\n"
        f"pytest.main(['--collect-only', '-q', {str(ROOT / 'cases/test_regression.py')!r}, '--rootdir', {str(ROOT)!r},\n"
        "    '-c', 'pytest.ini', '-p', 'no:cacheprovider', '--user-dir', "
        f"{str(folder / 'own_tasks')!r}])\n"
        "print('LOADED', sorted({'torch', 'transformers', 'datasets', 'sklearn', 'scipy'} & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=own_environment(),
    )
    assert "16 tests collected" in done.stdout, done.stdout + done.stderr
    assert "LOADED []" in done.stdout


def test_folder_that_cannot_be_used_ends_the_run_before_it_begins(folder):
    (folder / "json").mkdir()
    done = run(folder, "--user-dir", "json", "--collect-only")
    assert done.code == 4
    assert "the module 'json' is there already" in done.output
    assert "Traceback" not in done.output


def test_folder_without_a_task_is_told_of(folder):
    (folder / "taskless").mkdir()
    (folder / "taskless" / "__init__.py").write_text("# from . import tasks\n")
    done = run(folder, "--user-dir", "taskless", "--collect-only", "-q")
    assert "taskless: no regression task is registered there" in done.output
    assert done.code == pytest.ExitCode.NO_TESTS_COLLECTED


class Config:
    """As much of pytest's configuration as options are resolved from."""

    def __init__(self, directory: Path, **given) -> None:
        self._given, self.invocation_params = given, SimpleNamespace(dir=directory)

    def getoption(self, name: str):
        return self._given.get(name, False if name == "save_model" else None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tables": ["parquet,xls"]}, "--tables xls: expected some of parquet, csv, xlsx"),
        ({"finetune_from": "nowhere"}, "--finetune-from nowhere: no such folder"),
        ({"resume": "nowhere"}, "--resume nowhere: no such folder"),
        ({"resume": ".", "finetune_from": "."}, "--finetune-from and --resume: .*give one"),
        ({"model_args": ["dropout"]}, "--model-args dropout: expected KEY=VALUE"),
        ({"training_args": ["=3"]}, "--training-args =3: expected KEY=VALUE"),
    ],
)
def test_option_that_cannot_be_used_names_itself(tmp_path, given, message):
    with pytest.raises(pytest.UsageError, match=message):
        resolve(Config(tmp_path, **given))


def test_options_are_resolved_from_where_pytest_was_started(tmp_path):
    (tmp_path / "checkpoint").mkdir()
    options = resolve(
        Config(
            tmp_path,
            user_dir=["one,two", "three"],
            task=["a", "b,a"],
            model_args=["dropout=0.2", "encoder=a=b"],
            finetune_from="checkpoint",
        )
    )
    assert options.user_dirs == (tmp_path / "one", tmp_path / "two", tmp_path / "three")
    assert options.tasks == ("a", "b")
    assert options.model_args == {"dropout": "0.2", "encoder": "a=b"}
    assert options.finetune_from == tmp_path / "checkpoint"
    assert options.tables == ("parquet", "csv")
