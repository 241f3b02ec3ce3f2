"""Whole runs of the regression cases with a folder of the user's, as a user starts them."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import openpyxl
import pytest
from comparing import by_id, comparable, run_kind
from pyarrow import parquet
from suites import ROOT, Finished, own_environment

from bench.core.errors import UsageProblem
from bench.regression.options import RegressionOptions, resolve

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
    "no-dataset": "task_invalid",
    "no-model": "task_invalid",
    "no-argument": "task_invalid",
    "no-encoder": "model_failed",
    "unnamed-encoder": "task_invalid",
    "undefined": "task_invalid",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A directory in which the user's own tasks lie."""
    directory = tmp_path_factory.mktemp("user")
    shutil.copytree(Path(__file__).with_name("regression_user_dir"), directory / "own_tasks")
    return directory


@pytest.fixture(scope="module")
def parallel(folder) -> Finished:
    """All tasks of the folder on two workers."""
    return run_kind(
        "regression", folder, "-n", "2", "--user-dir", "own_tasks", "--tables", "parquet,csv,xlsx", "--junitxml",
        "junit.xml", "-v",
    )  # fmt: skip


def test_every_task_of_the_folder_gets_its_verdict_whatever_befalls_the_others(parallel):
    found = by_id(parallel)
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
    assert "found no argument of model encoder named encoder" in found["unnamed-encoder"]["reason"]
    assert "Traceback" not in parallel.output


def test_record_says_what_was_trained_on_what_and_how_well_it_predicts(parallel):
    record = by_id(parallel)["notes"]
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
    metrics = by_id(parallel)["constant"]["metrics"]
    assert metrics["pearson"]["value"] is None
    assert "constant" in metrics["pearson"]["reason"]
    assert metrics["rmse"]["value"] > 0


def test_rows_that_were_left_out_are_counted_and_shown(parallel):
    record = by_id(parallel)["gaps"]
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
    record = by_id(parallel)["notes"]
    assert record["files"] == {name: f"results/notes/samples.{name}" for name in ("parquet", "csv", "xlsx")}
    exact = parquet.read_table(parallel.directory / record["files"]["parquet"]).to_pylist()
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
    with open(parallel.directory / record["files"]["csv"], newline="") as file:
        rows = list(csv.DictReader(file))
    assert [
        {**row, **{name: float(row[name]) for name in ("gold", "raw", "prediction", "error")}} for row in rows
    ] == exact
    sheet = openpyxl.load_workbook(parallel.directory / record["files"]["xlsx"]).active
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
    serial = run_kind(
        "regression", folder, "--user-dir", "own_tasks", "--task", *names, "--tables", "parquet", "csv,xlsx"
    )
    found = by_id(serial)
    assert list(found) == list(names)
    for name in names[:-1]:
        assert comparable(found[name], "order") == comparable(by_id(parallel)[name], "order")
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
    assert "17 tests collected" in done.stdout, done.stdout + done.stderr
    assert "LOADED []" in done.stdout


def test_folder_that_cannot_be_used_ends_the_run_before_it_begins(folder):
    (folder / "json").mkdir()
    done = run_kind("regression", folder, "--user-dir", "json", "--collect-only")
    assert done.code == 4
    assert "the module 'json' is there already" in done.output
    assert "Traceback" not in done.output


def test_folder_without_a_task_is_told_of(folder):
    (folder / "taskless").mkdir()
    (folder / "taskless" / "__init__.py").write_text("# from . import tasks\n")
    done = run_kind("regression", folder, "--user-dir", "taskless")
    assert "taskless: no regression task is registered there" in done.output
    assert done.code == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"finetune_from": Path("nowhere")}, "--finetune-from nowhere: no such folder"),
        ({"resume": Path("nowhere")}, "--resume nowhere: no such folder"),
        ({"resume": ROOT, "finetune_from": ROOT}, "--finetune-from and --resume: found both, expected one"),
    ],
)
def test_option_that_cannot_be_used_names_itself(given, message):
    with pytest.raises(UsageProblem, match=re.escape(message)):
        resolve(RegressionOptions(**given), SimpleNamespace())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--tables", "parquet,xls"], "--tables xls: expected one of parquet, csv, xlsx"),
        (["--model-args", "dropout"], "--model-args dropout: expected KEY=VALUE, such as dropout=0.2"),
        (["--training-args", "=3"], "--training-args =3: expected KEY=VALUE, such as num_train_epochs=8"),
    ],
)
def test_option_that_cannot_be_parsed_ends_the_run_before_it_begins(folder, given, message):
    done = run_kind("regression", folder, *given)
    assert done.code == 4
    assert message in done.output


def test_option_keeps_what_follows_the_first_equals_sign_and_tasks_are_named_once(folder):
    done = run_kind(
        "regression", folder, "--user-dir", "own_tasks", "--task", "no-encoder", "no-encoder,undefined", "--model-args",
        "encoder=/no=where",
    )  # fmt: skip
    found = by_id(done)
    assert list(found) == ["no-encoder", "undefined"]
    assert "encoder=/no=where: no such folder" in found["no-encoder"]["reason"]
