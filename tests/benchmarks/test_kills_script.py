"""benchmarks/kills.py: what is wrong after a kill is found."""

import json

import pytest


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(run_script):
    lines = run_script(
        "kills.py", "--points", "1", "--tasks", "0", "--victims", "worker", "--signals", "KILL"
    ).splitlines()
    assert lines[0].startswith("an undisturbed run takes ")
    assert lines[3].split()[:3] == ["worker", "KILL", "1"]
    assert lines[3].split()[-1] == "0"


def place(tmp_path, *, state="finished", records=(), collected=2):
    import kills

    latest = tmp_path / "out" / "latest"
    latest.mkdir(parents=True)
    run = {"state": state, "collected": collected}
    (latest / "evaluation_results.json").write_text(json.dumps({"run": run, "records": list(records)}))
    return kills.Place(tmp_path)


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({}, []),
        ({"state": "running"}, ["the state is running, expected finished"]),
        ({"collected": 3}, ["3 cases were collected, and 2 have a record"]),
        ({"records": [{"id": "a", "verdict": "pass"}], "collected": 1}, ["b was finished and is lost"]),
        ({"records": [{"id": "a", "verdict": "pass"}, {"id": "b", "verdict": "error"}]}, ["b was finished and is lost"]),
        ({"records": [{"id": "a", "verdict": "pass"}] * 2}, ["2 records have 1 ids"]),
    ],
    ids=["right", "state", "collected", "lost", "other verdict", "twice"],
)  # fmt: skip
def test_what_is_wrong_with_the_end_of_a_run_is_said(scripts, tmp_path, changes, wrong):
    import kills

    records = [{"id": "a", "verdict": "pass"}, {"id": "b", "verdict": "fail"}]
    point = kills.Point()
    made = place(tmp_path, **{"records": records, **changes})
    kills.check_ended(made, "worker", 9, {record["id"]: record for record in records}, point)
    assert point.wrong == wrong
    assert kills.shown("worker", "KILL", [point]), "nothing was hit, so nothing was shown"


def test_differences_of_a_record_that_was_taken_over_are_named(scripts):
    import kills

    before = {"score": 1.0, "verdict": "pass", "reused": None}
    assert kills.different({**before, "reused": {"run": "x"}}, before) == []
    assert kills.different({**before, "score": 1.1}, before) == ["score"]
