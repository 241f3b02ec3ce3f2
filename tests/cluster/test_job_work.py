"""What a job runs in its first attempt and in later ones, and how it ended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.cluster.joined import missing_jobs
from bench.cluster.part import command_of, left_of
from bench.cluster.submission import (
    ENDED,
    SELECTION,
    VERSION,
    ClusterJob,
    Submission,
    decided,
    job_folder,
    read_submission,
)
from bench.core.errors import UsageProblem

UNITS = [["case-1"], ["shard-1", "shard-2"], ["case-2"]]


def submission_of(job: ClusterJob, **changes) -> Submission:
    given = {
        "version": VERSION, "created": "", "arguments": ["cases/", "-k", "a b"], "directory": "/", "cluster": "local",
        "parameters": {}, "visible_gpus": None, "seed": None, "junit": None, "jobs": [job],
    }  # fmt: skip
    return Submission(**{**given, **changes})


def ran(attempt: Path, **codes: tuple[str, str]) -> Path:
    """Write the records of an attempt; return the run's directory."""
    run = attempt / "20300101_120000"
    (run / "predictions").mkdir(parents=True)
    lines = [{"run": {}}]
    for name, (verdict, code) in codes.items():
        record = {"id": name, "kind": "evaluated", "verdict": verdict, "reason_code": code}
        lines.append({"nodeid": name.replace("_", "-"), "record": record})
    (run / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


@pytest.fixture
def job() -> ClusterJob:
    return ClusterJob(1, 4.0, UNITS)


def test_a_first_attempt_runs_everything_and_takes_nothing_over(tmp_path, job):
    submission = submission_of(job, seed=7, junit="/somewhere/report.xml")
    command = command_of(submission, tmp_path, left_of(job, decided(tmp_path)))
    first = tmp_path / "attempt-1"
    assert (first / "cases.txt").read_text().split() == ["case-1", "shard-1", "shard-2", "case-2"]
    assert command[4:7] == ["cases/", "-k", "a b"]
    assert command[command.index("--work-dir") + 1] == str(first)
    assert command[command.index("--seed") + 1] == "7"
    assert f"--junitxml={first / 'junit.xml'}" in command
    assert "--reuse" not in command


def test_a_later_attempt_runs_what_is_not_decided_and_takes_over_its_parts(tmp_path, job):
    passed, died, skipped = ("pass", "passed"), ("error", "worker_died"), ("skip", "requirement_absent")
    run = ran(tmp_path / "attempt-1", case_1=("fail", "score_missed"), shard_1=passed, case_2=died)
    ran(tmp_path / "attempt-2")  # ended before it had anything
    command = command_of(submission_of(job), tmp_path, left_of(job, decided(tmp_path)))
    assert (tmp_path / "attempt-3" / "cases.txt").read_text().split() == ["shard-1", "shard-2", "case-2"]
    assert command[command.index("--reuse") + 1] == str(run)
    ran(tmp_path / "attempt-4", shard_2=passed, case_2=skipped)
    assert left_of(job, decided(tmp_path)) == [["case-2"]]
    ran(tmp_path / "attempt-10", case_2=passed)
    assert left_of(job, decided(tmp_path)) == []


def test_a_job_is_submitted_again_for_a_case_or_for_another_test_that_did_not_come_to_its_end(tmp_path, job):
    submission = submission_of(job)
    items = [{"nodeid": nodeid, "blank": {}} for unit in UNITS[:2] for nodeid in unit]
    (tmp_path / SELECTION).write_text(
        json.dumps({"items": [*items, {"nodeid": "case-2"}]})
    )  # a test of a user's
    place = job_folder(tmp_path, 1)
    passed = ("pass", "passed")
    ran(place / "attempt-1", case_1=passed, shard_1=passed)
    ended = {"attempt": 1, "host": "here"}
    (place / ENDED).write_text(json.dumps({"exit_status": 0, **ended}))
    assert missing_jobs(tmp_path, submission) == [1]
    ran(place / "attempt-2", shard_2=passed)
    assert missing_jobs(tmp_path, submission) == []
    (place / ENDED).write_text(json.dumps({"exit_status": -9, **ended}))
    assert missing_jobs(tmp_path, submission) == [1]
    (place / ENDED).unlink()
    assert missing_jobs(tmp_path, submission) == [1]


def test_a_submission_of_another_version_is_refused(tmp_path, job):
    submission_of(job).write(tmp_path)
    assert read_submission(tmp_path) == submission_of(job)
    submission_of(job, version=VERSION + 1).write(tmp_path)
    with pytest.raises(
        UsageProblem, match=f"found a submission of version {VERSION + 1}, expected {VERSION}"
    ):
        read_submission(tmp_path)
