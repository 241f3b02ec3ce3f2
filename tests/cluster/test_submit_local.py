"""A run that is split over jobs of this machine: what it is joined to, what a job that died leaves, how it goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import clusters
import psutil
import pytest
from suites import ROOT

from bench.cli.main import main
from bench.cluster.submission import decided, job_folder, read_submission

pytestmark = [pytest.mark.slow, clusters.needs_submitit]


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """Two jobs, one of which is killed while a case of it waits; joined, and submitted again."""
    told = {}
    folder = tmp_path_factory.mktemp("local")
    with pytest.MonkeyPatch.context() as patch:
        cases = clusters.Cases(folder, patch)
        cases.hold("m5")  # the last one of its job
        out = told["out"] = cases.folder / "big run"
        arguments = [
            *cases.arguments,
            "--require",
            "evaluated:mae<=3",
            "--junitxml=report.xml",
            "--seed",
            "random",
        ]
        assert main([*clusters.submit_here(out, "--no-wait"), "--", *arguments]) == 0
        submission = told["submission"] = read_submission(out)
        clusters.until(lambda: _done(out, submission) == 5, "all cases but the one that waits")
        waiting = next(job for job in submission.jobs if any("-m5-" in nodeid for nodeid in job.nodeids))
        told["waiting"] = waiting
        told["running"] = _join(out, "--no-wait", "--no-html")
        controller = psutil.Process(int(waiting.launches[0].id))
        for process in [controller, *controller.children(recursive=True)]:
            process.send_signal(signal.SIGKILL)
        told["died"] = _join(out)
        told["died_junit"] = ElementTree.parse(cases.folder / "report.xml").getroot()
        cases.let_go()
        told["again"] = _join(out, "--again")
        told["junit"] = ElementTree.parse(cases.folder / "report.xml").getroot()
        told["nothing"] = _join(out, "--again", "--no-html")
    return told


def _done(out: Path, submission) -> int:
    return sum(len(decided(job_folder(out, job.number))) for job in submission.jobs)


def _join(out: Path, *more: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "submit", "--join", str(out), *more], capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    results = json.loads((out / "run" / "evaluation_results.json").read_text())
    return {
        "code": done.returncode,
        "said": done.stdout + done.stderr,
        "results": results,
        "has_page": (out / "run" / "report.html").is_file(),
    }


def _verdicts(told: dict) -> dict[str, str]:
    return {record["id"]: record["reason_code"] for record in told["results"]["records"]}


def test_a_job_that_was_killed_leaves_a_gap_that_is_named(story):
    died = story["died"]
    assert died["code"] == 1
    (gap,) = [line for line in died["said"].splitlines() if line.startswith("gap: ")]
    job = f"job {story['waiting'].number} ended as FAILED, without a result"
    assert gap == f"gap: evaluated: evaluated-m5-notes: not run: {job}"
    printed = job_folder(story["out"], story["waiting"].number) / "output.txt"
    assert f"note: {job}; {printed} ends with: pass evaluated-m3-notes" in died["said"]
    assert "--again" in died["said"]
    assert _verdicts(died) == {f"evaluated-m{n}-notes": "not_run" if n == 5 else "passed" for n in range(6)}


def test_what_still_runs_can_be_looked_at(story):
    running = story["running"]
    assert running["code"] == 1
    assert f"evaluated-m5-notes: not run: job {story['waiting'].number} is RUNNING" in running["said"]
    assert list(_verdicts(running).values()) == ["passed"] * 5 + ["not_run"]


def test_only_what_is_missing_is_run_again(story):
    again = story["again"]
    assert again["code"] == 0, again["said"]
    assert f"submitted again: job {story['waiting'].number}" in again["said"]
    assert set(_verdicts(again).values()) == {"passed"}
    second = job_folder(story["out"], story["waiting"].number) / "attempt-2"
    (nodeid,) = (second / "cases.txt").read_text().splitlines()
    assert "-m5-" in nodeid
    other = next(job.number for job in story["submission"].jobs if job.number != story["waiting"].number)
    assert not (job_folder(story["out"], other) / "attempt-2").exists()
    assert again["has_page"]


def test_a_second_again_finds_nothing_to_do(story):
    assert "nothing is submitted" in story["nothing"]["said"]
    assert story["nothing"]["code"] == 0
    assert not story["nothing"]["has_page"]


def test_all_jobs_have_one_seed(story):
    submission = read_submission(story["out"])
    assert isinstance(submission.seed, int)
    seeds = [
        json.loads(next(attempt.glob("*/configs/options.json")).read_text())["run"]["seed"]
        for attempt in (story["out"] / "jobs").glob("*/attempt-*")
    ]
    assert seeds == [str(submission.seed)] * 3


def test_one_junit_file_has_each_case_once(story):
    for root, errors in ((story["died_junit"], 1), (story["junit"], 0)):
        (suite,) = root
        names = sorted(testcase.get("name") for testcase in suite.iter("testcase"))
        assert names == [f"test_evaluated[evaluated-m{number}-notes]" for number in range(6)]
        assert (suite.get("tests"), suite.get("errors"), suite.get("failures")) == ("6", str(errors), "0")
        assert len(list(suite.iter("error"))) == errors


def test_what_cannot_be_used_is_said_before_anything_is_submitted(tmp_path, monkeypatch, capsys):
    cases = clusters.Cases(tmp_path, monkeypatch)
    out = cases.folder / "out"

    def refused(*options: str, more: tuple[str, ...] = ()) -> str:
        given = clusters.submit_here(out, *options)
        assert main([*given, "--", *cases.arguments, *more]) == 4
        assert not out.exists()
        return capsys.readouterr().err

    assert "unrecognized arguments: --no-such-option" in refused(more=("--no-such-option",))
    assert "applies to evaluated cases, and none of them is run" in refused(
        more=("-k", "nothing_is_called_so")
    )
    monkeypatch.setenv("MODELGATE_EVALUATED", str(cases.folder / "evaluations"))
    at = cases.arguments.index("--evaluated")
    del cases.arguments[at : at + 2]
    assert "found no case that is selected" in refused(more=("-k", "nothing_is_called_so"))
    assert "--history: a job has a part of the run alone" in refused(more=("--history", "history.sqlite"))
    assert "--reuse latest: found no directory of a run" in refused(more=("--reuse", "latest"))
    assert "--work-dir: the runs of the jobs lie in the folder of --out" in refused(
        more=("--work-dir", "out")
    )
    assert "-n auto: found a number of workers that each machine decides" in refused(more=("-n", "auto"))
    assert "--partition: applies to --cluster slurm" in refused("--partition", "main")


def test_an_out_that_holds_something_and_a_join_without_jobs_are_refused(tmp_path, capsys):
    (tmp_path / "mine").touch()
    begin = ["submit", "--jobs", "2", "--cluster", "local", "--out", str(tmp_path), "--", "cases/"]
    assert main(begin) == 4
    assert "found something there, expected a new or empty folder" in capsys.readouterr().err
    assert (tmp_path / "mine").exists()
    assert main(["submit", "--join", str(tmp_path)]) == 4
    assert "found no submission.json" in capsys.readouterr().err
    assert main(["submit", "--join", str(tmp_path), "--jobs", "3"]) == 4
    assert "--join: found --jobs" in capsys.readouterr().err


def test_an_interrupt_leaves_the_jobs_alone(tmp_path, monkeypatch):
    cases = clusters.Cases(tmp_path, monkeypatch)
    cases.hold("m0")
    out = cases.folder / "out"
    command = [sys.executable, "-m", "bench", *clusters.submit_here(out, "--no-html", jobs=1)]
    # Tests that run in the background ignore interrupts, and what they start would do so too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [*command, "--", *cases.arguments, "-k", "m0"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as waiting:
        signal.signal(signal.SIGINT, before)
        assert waiting.stdout is not None
        assert waiting.stdout.readline().startswith("submitted 1 case as 1 job")
        assert "RUNNING" in waiting.stdout.readline()
        os.killpg(waiting.pid, signal.SIGINT)  # as a terminal does
        assert "left the jobs alone; join them with: modelgate submit --join '" in waiting.stdout.read()
        assert waiting.wait() == 130
    cases.let_go()
    assert main(["submit", "--join", str(out), "--no-html"]) == 0
    results = json.loads((out / "run" / "evaluation_results.json").read_text())
    assert [record["verdict"] for record in results["records"]] == ["pass"]


def test_submitit_that_is_missing_is_named_with_its_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("bench.core.extras.find_spec", lambda name: None)
    monkeypatch.chdir(ROOT)
    assert (
        main(["submit", "--jobs", "1", "--cluster", "local", "--out", str(tmp_path / "out"), "--", "cases/"])
        == 4
    )
    assert "install it with pip install 'modelgate[slurm]'" in capsys.readouterr().err
