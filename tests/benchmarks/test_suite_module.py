"""What the scripts share: task files and results."""

from pathlib import Path

import msgspec
import pytest


def test_shipped_tasks_are_pairs_without_a_problem(scripts, tmp_path):
    import suite

    from bench.acceleration.tasks.join import load_cases

    tasks = suite.shipped_tasks()
    assert len(tasks) == len({task["prompt_id"] for task in tasks}) > 20
    _, annotations, _, generations = suite.write_tasks(tmp_path, tasks)
    cases = load_cases([Path(annotations)], [Path(generations)])
    assert [case.prompt_id for case in cases] == [task["prompt_id"] for task in tasks]
    assert [case.problem for case in cases if case.problem or case.is_control] == []
    for case in cases:
        assert case.candidate_file.is_file()


def test_results_are_read_from_the_latest_run(scripts, tmp_path):
    import suite

    record = {
        "id": "easy-a-1", "kind": "acceleration", "verdict": "pass", "reason": "it is", "prompt_id": 1,
        "speedup": {"value": 2.0, "low": 1.9, "high": 2.1, "required": 1.5, "rounds": 6},
        "quality": {"metric": "clip_score", "loss": 0.01, "allowed": 0.05},
    }  # fmt: skip
    summary = {"total": 1, "passed": 1, "failed": 0, "controls": {"total": 2, "rejected": 2}}
    (tmp_path / "latest").mkdir()
    suite.results_file(tmp_path).write_bytes(msgspec.json.encode({"summary": summary, "records": [record]}))
    results = suite.read_results(tmp_path)
    assert (results.summary.passed, results.summary.controls.rejected) == (1, 2)
    (judged,) = results.records
    assert (judged.id, judged.speedup.rounds, judged.quality.loss) == ("easy-a-1", 6, 0.01)
    assert suite.shown(judged.speedup) == "2.00 [1.90, 2.10]"


@pytest.mark.slow
def test_a_run_without_results_is_an_error_with_its_output(scripts, tmp_path):
    import suite

    with pytest.raises(
        RuntimeError, match=r"exit code 4.*expected a run with results(.|\n)*--no-such-option"
    ):
        suite.run_cases("acceleration", tmp_path, ["--no-such-option"])
