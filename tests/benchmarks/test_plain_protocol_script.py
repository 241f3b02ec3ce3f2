"""benchmarks/plain_protocol.py: pairs timed as scripts and papers time them."""

import json

import pytest


@pytest.mark.slow
def test_it_prints_a_ratio_and_a_loss_for_each_pair(scripts, small_tasks, monkeypatch, capsys, tmp_path):
    import plain_protocol
    import suite

    monkeypatch.setattr(
        "sys.argv",
        ["plain_protocol.py", *suite.write_tasks(tmp_path, small_tasks), "--prompts", str(suite.PROMPTS),
         "--clip", str(suite.CLIP), "--num-samples", "2", "--batch-size", "1", "--threads", "1", "--only", "24",
         "--repeat", "2"],
    )  # fmt: skip
    plain_protocol.main()
    results = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [result["id"].rsplit("-", 1)[1] for result in results] == ["24", "24"]
    assert all(result["ratio"] > 0 and -1 < result["loss"] < 1 for result in results)
    assert results[0]["loss"] == results[1]["loss"] != 0
