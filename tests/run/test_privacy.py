"""What a run writes names neither the host nor the user, and no place of theirs, unless it is asked to."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from suites import ROOT, own_environment

pytestmark = pytest.mark.slow

HOST, USER = "qzhost-4711-xw", "qzuser4711xw"
# Runs in every process that is started below.
SITE = f"""
import os, platform, socket
platform.node = socket.gethostname = socket.getfqdn = lambda *_: {HOST!r}
"""
# What others print is theirs; the weights and checkpoints are read again, with the paths in them.
NOT_SEARCHED = {"logs"}


def run(tmp_path, *arguments):
    home = tmp_path / USER
    (tmp_path / "site").mkdir(exist_ok=True)
    home.mkdir(exist_ok=True)
    (tmp_path / "site" / "sitecustomize.py").write_text(SITE)
    finished = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-o", "junit_logging=all",
            "--work-dir", str(home / "out"), "--junitxml", str(home / "report.xml"), *arguments,
        ],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
        env=own_environment(
            {
                "HOME": str(home), "USER": USER, "LOGNAME": USER, "GITHUB_STEP_SUMMARY": str(home / "step.md"),
                "PYTHONPATH": f"{tmp_path / 'site'}:{ROOT}", "HF_HUB_OFFLINE": "1",
            }
        ),
    )  # fmt: skip
    return home, finished


def files_with(folder, *names):
    return sorted(
        f"{path.relative_to(folder)}: {name}"
        for path in folder.rglob("*")
        if path.is_file() and not NOT_SEARCHED & set(path.relative_to(folder).parts)
        for name in names
        if name.encode() in path.read_bytes()
    )


EVERY_KIND = (
    "cases/test_reranking.py", "cases/test_regression.py", "cases/test_language.py", "cases/test_evaluated.py",
    "-k", "digits or synthetic or siqa or evaluated",
    "--training-args", "num_train_epochs=1", "--models", "tiny_lm", "--datasets", "siqa_gen", "--limit", "4",
)  # fmt: skip


def test_records_options_and_reports_name_no_place_of_this_machine(tmp_path):
    evaluations = tmp_path / USER / "evaluations"
    evaluations.mkdir(parents=True)
    (evaluations / "broken.json").write_text("{")
    home, finished = run(tmp_path, *EVERY_KIND, "--evaluated", str(evaluations))
    assert files_with(home, HOST, USER, str(ROOT), str(tmp_path)) == [], finished.stdout
    results = json.loads((home / "out/latest/evaluation_results.json").read_text(encoding="utf-8"))
    records = {record["id"]: record for record in results["records"]}
    assert "--work-dir ~/out" in results["run"]["command"]
    assert not {"host", "user"} & set(results["run"]["environment"])
    training = records["synthetic-rubric"]["training"]
    assert training["model_args"]["encoder"] == "fixtures/zoo/tiny-encoder"
    assert "~/evaluations/broken.json" in records["evaluated-broken"]["reason"]
    options = json.loads((home / "out/latest/configs/options.json").read_text(encoding="utf-8"))
    assert options["run"]["work_dir"] == "~/out"
    assert options["acceleration"]["clip"] == "fixtures/zoo/tiny-clip"
    assert "~/evaluations/broken.json" in (home / "report.xml").read_text(encoding="utf-8")

    # Its predictions are found again.
    home, finished = run(
        tmp_path, "cases/test_language.py", "--models", "tiny_lm", "--datasets", "siqa_gen", "--limit", "4", "--reuse",
        "latest",
    )  # fmt: skip
    results = json.loads((home / "out/latest/evaluation_results.json").read_text(encoding="utf-8"))
    (record,) = results["records"]
    assert record["engine"]["reused"] == 4, finished.stdout


def test_names_are_recorded_where_they_are_asked_for(tmp_path):
    home, finished = run(tmp_path, "cases/test_reranking.py", "-k", "constant", "--record-host", "-n", "1")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    results = json.loads((home / "out/latest/evaluation_results.json").read_text(encoding="utf-8"))
    assert results["run"]["environment"]["host"] == HOST
    assert results["run"]["environment"]["user"] == USER
    assert f'hostname="{HOST}"' in (home / "report.xml").read_text(encoding="utf-8")
