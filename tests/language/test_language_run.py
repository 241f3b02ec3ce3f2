"""Whole runs of the language cases, as a user starts them."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from comparing import comparable, kind_command, run_kind
from small_models import save_model
from suites import Finished, own_environment

pytestmark = pytest.mark.slow

DATASETS = ("siqa_gen", "winograd_ppl", "piqa_ll")
FEW = ("--limit", "12")
UNREAD = ("--max-unparsed", "100")  # random weights write nothing that could be read


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "small_one")


class LanguageRun:
    """Runs the language cases with a small model in a directory of its own."""

    def __init__(self, directory: Path, model: Path) -> None:
        self.directory, self.model = directory, model
        self.named = ("--hf-path", str(model), "--dtype", "float32")

    def run(self, *arguments: str, model: bool = True) -> Finished:
        return run_kind("language", self.directory, *(self.named if model else ()), *arguments)

    def begin(self, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            kind_command("language", self.directory, *self.named, *arguments),
            cwd=self.directory,
            env=own_environment(),
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def latest(self) -> Path:
        return self.directory / "out/latest"


@pytest.fixture
def language(tmp_path, model):
    return LanguageRun(tmp_path, model)


def compared(finished: Finished, *more: str) -> list[dict]:
    """The records without what may differ between two runs: times, and the order of work."""
    assert finished.results is not None, finished.output
    return [comparable(record, "engine", *more) for record in finished.results["records"]]


def test_serial_and_parallel_runs_give_the_same_records_and_a_later_run_reuses_or_shows_them(language):
    junit = language.directory / "junit.xml"
    serial = language.run("--datasets", *DATASETS, *UNREAD, *FEW, "--junitxml", str(junit), "-v")
    assert serial.code == 0, serial.output
    assert [record["verdict"] for record in serial.results["records"]] == ["pass"] * 3
    parallel = language.run(
        "--datasets", ",".join(DATASETS), "-n", "2", "--reuse", "latest", "--limit", "13", *UNREAD
    )
    assert parallel.code == 0, parallel.output
    # One row more than before, drawn as the others were.
    assert [record["engine"]["asked"] for record in parallel.results["records"]] == [1, 1, 1]
    assert {(r["sample"]["rows"], r["sample"]["of"]) for r in parallel.results["records"]} == {(13, 100)}
    parallel = language.run("--datasets", *DATASETS, *UNREAD, *FEW, "-n", "2")
    assert compared(parallel) == compared(serial)
    assert parallel.results["summary"]["kinds"]["language"]["passed"] == 3

    shown = serial.output
    assert "accuracy" in shown
    assert "synthetic rows" in shown
    with open(serial.directory / "summary/summary.csv") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["dataset", "metric", "mode", "protocol", "small_one"]
    assert {row[0] for row in rows[1:]} == {*DATASETS, "all"}
    properties = {
        entry.get("name"): entry.get("value")
        for case in ElementTree.parse(junit).iter("testcase")
        if "piqa" in case.get("name")
        for entry in case.iter("property")
    }
    assert properties["metric"] == "accuracy"
    assert properties["samples"] == "12"
    configuration = json.loads((serial.directory / "configs/language.json").read_text())
    assert list(configuration["datasets"]) == list(DATASETS)

    again = language.run("--datasets", *DATASETS, *UNREAD, *FEW, "--reuse", parallel.directory.name)
    assert [record["engine"]["asked"] for record in again.results["records"]] == [0, 0, 0]
    assert compared(again) == compared(serial)
    table = language.run("--datasets", *DATASETS, "--mode", "viz", "--reuse", "latest")
    assert compared(table, "files") == compared(serial, "files")
    for record in table.results["records"]:
        for path in record["files"].values():
            assert (table.directory / path).resolve().is_relative_to(again.directory)
            assert (table.directory / path).is_file()


def test_latest_is_the_run_before_this_one_in_every_worker_and_in_what_is_written_down(language):
    """A worker that is started again resolves options while the link `latest` points at its own run."""
    first = language.run("--datasets", *DATASETS, *UNREAD, *FEW)
    assert first.code == 0, first.output
    mine = language.directory / "mine"
    mine.mkdir()
    (mine / "deadly_ll.py").write_text(
        "import os\n"
        "from pathlib import Path\n"
        "from bench.language.spec import Dataset, LogLikelihood, Source\n"
        "\n"
        "def prepare(row):\n"
        "    flag = Path(__file__).with_name('died')\n"
        "    if not flag.exists():\n"
        "        flag.touch()\n"
        "        os._exit(9)\n"
        "    return row\n"
        "\n"
        "DATASET = Dataset(source=Source(hub='nobody/toy', rows='toy'), prompt='{q}', gold='label',\n"
        "    inference=LogLikelihood(), choices=(' yes', ' no'), prepare=prepare)\n"
    )
    rows = language.directory / "rows"
    shutil.copytree(Path(__file__).resolve().parents[2] / "fixtures/datasets/language", rows)
    # It costs more than piqa_ll and winograd_ppl, which are therefore asked after it.
    (rows / "toy.jsonl").write_text('{"q": "Is it?", "label": 0}\n' * 400)
    finished = language.run(
        "--datasets", "deadly_ll", *DATASETS, "--limit", "400", "--user-dir", str(mine), "--data", str(rows),
        "--reference", "latest", "--margin", "100", "-n", "1", "--record-host", "--retries", "0",
    )  # fmt: skip
    found = {record["dataset"]: record for record in finished.results["records"]}
    assert found["deadly_ll"]["reason_code"] == "worker_died"
    # After the crash, `latest` is this run itself. Compared with itself, every record would differ by nothing.
    for name in DATASETS:
        assert found[name]["reason_code"] == "predictions_missing", found[name]["reason"]  # 12 rows, not 100
    earlier = json.loads((finished.directory / "configs/language.json").read_text())["earlier"]
    assert earlier == {"reuse": None, "reference": str(first.directory)}


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
    (mine / "broken-ll.py").write_text("import nothing_of_that_name\nDATASET = 3\n")
    (rows / "toy.jsonl").write_text('{"q": "Is it?", "label": 0}\n{"q": "Was it?", "label": 1}\n')
    broken = tmp_path / "broken_model"
    broken.mkdir()
    config = tmp_path / "eval.py"
    (tmp_path / "shared_models.py").write_text(
        f"small = {{'name': 'small', 'path': {str(language.model)!r}}}\n"
    )
    config.write_text(
        "from shared_models import small\n"
        f"models = [small, {{'name': 'broken', 'path': {str(broken)!r}}}]\n"
        "datasets = [{'name': 'toy_ll', 'min_score': 0}, 'bad_ll', 'nowhere_ll', 'broken-ll']\n"
    )
    finished = language.run(
        "--config", str(config), "--dataset-dir", str(mine), "--data", str(rows), "-n", "2", model=False
    )
    assert finished.code == 1, finished.output
    found = {record["id"]: record["reason_code"] for record in finished.results["records"]}
    assert found == {
        "small-toy_ll": "passed", "small-bad_ll": "data_failed",
        "small-nowhere_ll": "task_invalid", "small-broken_ll": "task_invalid",
        "broken-toy_ll": "model_failed", "broken-bad_ll": "data_failed",
        "broken-nowhere_ll": "task_invalid", "broken-broken_ll": "task_invalid",
    }  # fmt: skip
    with open(finished.directory / "summary/summary.csv") as file:
        table = {row[0]: row[4:] for row in csv.reader(file)}
    assert table["toy_ll"][1] == "ERROR: model_failed"
    assert table["bad_ll"] == ["ERROR: data_failed"] * 2
    assert all("INCOMPLETE" in cell for cell in table["all"])
    assert "no dataset is named 'nowhere_ll'" in finished.output
    assert "ModuleNotFoundError" in finished.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "hf_opt_125"], "hf_opt_125m"),
        (["--mode", "eval"], "--reuse"),
        (["--reuse", "never"], "no such run"),
        (["--data", "nowhere"], "no such folder"),
        (["--config", "nowhere.py"], "no such file"),
        (["--min-score", "siqa_gen"], "DATASET=NUMBER"),
        (["--min-score", "siqa_gn=60"], "no dataset that is run is named 'siqa_gn'; nearest: siqa_gen"),
        (["--batch-size", "some"], "--batch-size some"),
        (["--limit", "0"], "--limit 0"),
        (
            ["--hf-path", "a", "--hf-path", "b"],
            "--hf-path: found it 2 times, with a and b; expected one value",
        ),
        (["--hf-path=a", "--hf-path=b"], "several models in a --config"),
        (["--max-unparsed", "0.2"], "write 0.2% or 20%"),
        (["--hf-path", "a", "--generation-kwargs", "num_return_sequences=4"], "give it as --repeats"),
        (["--hf-path", "a", "--generation-kwargs", "max_new_tokens=4"], "give it as --max-out-len"),
        (
            ["--hf-path", "a", "--generation-kwargs", "top_p=0.9", "--generation-kwargs", "top_p=0.8"],
            "given twice",
        ),
        (["--dataset-dir", "nowhere"], "no such folder"),
        (["--model-kwargs", "a=1"], "--hf-path"),
        (["--models", "hf_gpt2", "--generation-kwargs", "top_p=0.9"], "--generation-kwargs"),
        (["--margin", "2"], "--reference"),
        (["--require", "language:siqa_gen.acuracy>=60%"], "siqa_gen.accuracy"),
    ],
)
def test_an_option_that_cannot_be_used_names_itself(language, arguments, message):
    few = () if "--limit" in arguments else FEW
    finished = language.run(*few, *arguments, "--collect-only", model=False)
    assert finished.code == 4, finished.output
    assert message in finished.output
    assert "Traceback" not in finished.output


def test_a_requirement_decides_as_the_required_score_does(language):
    finished = language.run(
        "--datasets", "piqa_ll", "winograd_ppl", *FEW, "--require", "language:piqa_ll.accuracy>=100%"
    )
    assert finished.code == 1, finished.output
    verdicts = {record["dataset"]: record["verdict"] for record in finished.results["records"]}
    assert verdicts["winograd_ppl"] == "pass"
    assert verdicts["piqa_ll"] in ("fail", "inconclusive")


def test_killed_run_is_taken_up_where_it_stopped(language):
    asked = ("--datasets", "hellaswag_ll", "arc_easy_ll", "--limit", "100")
    process = language.begin(*asked, "--batch-size", "1")
    predictions = language.latest / "predictions/small_one"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(predictions.glob("*.jsonl")):
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = sum(len(file.read_text().splitlines()) for file in predictions.glob("*.jsonl"))
    finished = language.run(*asked, "--reuse", "latest")
    assert finished.code == 0, finished.output
    reused = sum(record["engine"]["reused"] for record in finished.results["records"])
    assert 0 < reused <= kept
    assert sum(record["engine"]["asked"] for record in finished.results["records"]) == 200 - reused
