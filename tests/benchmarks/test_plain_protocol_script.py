"""benchmarks/plain_protocol.py: pairs timed as scripts and papers time them."""

import json

import pytest


@pytest.mark.slow
def test_it_prints_a_ratio_and_a_loss_for_each_pair(run_script, scripts, tmp_path):
    import suite

    tasks = [task for task in suite.shipped_tasks() if task["prompt_id"] in (1, 24)]
    printed = run_script(
        "plain_protocol.py", *suite.write_tasks(tmp_path, tasks), "--prompts", str(suite.PROMPTS),
        "--clip", str(suite.CLIP), "--num-samples", "1", "--batch-size", "1", "--threads", "1", "--only", "24",
        "--repeat", "2",
    )  # fmt: skip
    results = json.loads(printed.splitlines()[-1])
    assert [result["id"].rsplit("-", 1)[1] for result in results] == ["24", "24"]
    assert all(result["ratio"] > 0 and -1 < result["loss"] < 1 for result in results)
    assert results[0]["loss"] == results[1]["loss"]
