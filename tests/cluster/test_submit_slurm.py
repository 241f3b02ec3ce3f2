"""A run that is split over jobs of Slurm itself: jobs that the cluster takes away go on, what it refuses is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import clusters
import jsonschema
import psutil
import pytest
from suites import ROOT

from bench.cli.main import main
from bench.cluster.states import State, states
from bench.cluster.submission import decided, job_folder, read_submission
from bench.kinds import KINDS
from bench.report.schema import results_schema

pytestmark = [pytest.mark.slow, clusters.needs_slurm, clusters.needs_submitit]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with clusters.slurm(tmp_path_factory.mktemp("slurm")):
        yield


@pytest.fixture
def cases(cluster, tmp_path, monkeypatch):
    return clusters.Cases(tmp_path, monkeypatch)


def scontrol(*words: str) -> None:
    subprocess.run(["scontrol", *words], check=True, capture_output=True)


def pending(out, submission, number: int) -> bool:
    found = states(out, submission)
    return found is not None and found[number].word == "PENDING"


def test_jobs_that_the_cluster_takes_away_go_on_where_they_were(cases, capsys):
    """One is put back into the queue by Slurm, the other is told that its time is up; neither computes a case again."""
    cases.hold("m4", "m5")
    out = cases.folder / "out"
    command = [
        "submit",
        "--jobs",
        "2",
        "--partition",
        "main",
        "--cpus-per-job",
        "1",
        "--time",
        "60",
        "--out",
        str(out),
    ]
    assert main([*command, "--no-wait", "--", *cases.arguments, "--require", "evaluated:mae<=3"]) == 0
    submission = read_submission(out)
    folders = {job.number: job_folder(out, job.number) for job in submission.jobs}
    clusters.until(
        lambda: all(len(decided(place)) == 2 for place in folders.values()), "two cases of each job"
    )
    first, second = (job.launches[0].id for job in submission.jobs)
    scontrol("requeue", first)
    subprocess.run(["scancel", "--signal=USR2", second], check=True)  # as when a job is to be preempted
    for job in submission.jobs:
        clusters.until(
            lambda number=job.number: pending(out, submission, number), "the job in the queue again"
        )
        # Slurm begins what was put back only when old credentials have expired.
        scontrol("update", f"JobId={job.launches[0].id}", "StartTime=now")
    cases.let_go()
    capsys.readouterr()
    assert main(["submit", "--join", str(out), "--no-html"]) == 0
    said = capsys.readouterr().out
    assert f"job 1 ({first}): COMPLETED, 3 of 3 decided" in said
    assert f"job 2 ({second}): COMPLETED, 3 of 3 decided" in said
    assert "total 6, passed 6" in said
    for place in folders.values():
        left = (place / "attempt-2" / "cases.txt").read_text().splitlines()
        assert len(left) == 1, left
        assert not (place / "attempt-3").exists()
    results = json.loads((out / "run" / "evaluation_results.json").read_text())
    attempts = [one["id"][:7] for one in results["run"]["merged_from"]]
    assert sorted(attempts) == ["job-001", "job-001", "job-002", "job-002"], results["run"]["merged_from"]


def test_what_slurm_refuses_is_said_and_leaves_nothing_behind(cases, capsys):
    out = cases.folder / "out"
    command = ["submit", "--jobs", "2", "--partition", "nowhere", "--out", str(out), "--", *cases.arguments]
    assert main(command) == 4
    assert "sbatch: error: invalid partition specified: nowhere" in capsys.readouterr().err
    assert not out.exists()


def test_a_job_that_was_cancelled_is_a_gap(cases, capsys):
    cases.hold("m0")
    out = cases.folder / "out"
    command = [
        "submit",
        "--jobs",
        "1",
        "--sbatch",
        "begin=now+1hour",
        "comment=a test",
        "--out",
        str(out),
        "--no-wait",
    ]
    assert main([*command, "--", *cases.arguments, "-k", "m0"]) == 0
    submission = read_submission(out)
    assert states(out, submission)[1] == State("PENDING", "BeginTime")
    subprocess.run(["scancel", submission.jobs[0].launches[0].id], check=True)
    capsys.readouterr()
    assert main(["submit", "--join", str(out), "--no-html"]) == 1
    said = capsys.readouterr().out
    assert "gap: evaluated: evaluated-m0-notes: not run: job 1 ended as CANCELLED" in said
    results = json.loads((out / "run" / "evaluation_results.json").read_text())
    jsonschema.validate(results, results_schema(KINDS.values()))


def test_the_cluster_ends_with_a_test_that_is_killed(tmp_path):
    """What a job runs ends, too, though the daemon that began it cannot end it any more."""
    script = (
        "import subprocess, sys, time, clusters, pathlib\n"
        "with clusters.slurm(pathlib.Path(sys.argv[1])):\n"
        "    subprocess.run(['sbatch', '--output=/dev/null', '--wrap', f'echo $$ > {sys.argv[1]}/job.pid; sleep 1000'])\n"
        "    time.sleep(1000)\n"
    )
    path = os.pathsep.join([str(Path(clusters.__file__).parent), str(ROOT)])
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
    ) as killed:
        job = tmp_path / "job.pid"
        clusters.until(lambda: job.is_file() and job.read_text().strip(), "a job")
        killed.kill()
    for file in (job, tmp_path / "slurmctld.pid", tmp_path / "slurmd.pid"):
        pid = int(file.read_text())
        clusters.until(lambda pid=pid: not psutil.pid_exists(pid), f"the end of {file.name}", 20)
