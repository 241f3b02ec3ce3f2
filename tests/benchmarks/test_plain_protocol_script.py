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


@pytest.mark.slow
def test_a_call_that_only_running_shows_is_seen_first(scripts, small_tasks, monkeypatch, capsys, tmp_path):
    import plain_protocol
    import suite

    model = suite.ROOT / "fixtures" / "zoo" / "tiny-sd"
    file = tmp_path / "settings_in_a_function.py"
    file.write_text(
        "from diffusers import StableDiffusionPipeline\n"
        f"pipe = StableDiffusionPipeline.from_pretrained({str(model)!r})\n"
        "def main():\n    settings = {'num_inference_steps': 2}\n    return pipe('a star', **settings).images\n"
        "if __name__ == '__main__':\n    main()\n"
    )
    task = {**small_tasks[0], "prompt_id": 1, "candidate_file": str(file)} | dict.fromkeys(
        ("target_file", "baseline_file"), str(file)
    )
    named = [*suite.write_tasks(tmp_path, [task]), "--prompts", str(suite.PROMPTS)]
    calls = suite.write_calls(tmp_path, *named)
    assert json.loads((tmp_path / "calls.json").read_text()).keys() == {str(file)}
    monkeypatch.setattr(
        "sys.argv",
        ["plain_protocol.py", *named, *calls, "--num-samples", "1", "--batch-size", "1", "--threads", "1"],
    )
    plain_protocol.main()
    (result,) = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["ratio"] > 0
