"""benchmarks/null_ratio.py: one pipeline against itself."""

import re

import arms
import pytest

from bench.acceleration.host import kept_server


@pytest.mark.slow
def test_it_prints_how_far_each_protocol_is_from_the_truth(run_script):
    printed = run_script(
        "null_ratio.py", "--pairs", "1", "--rounds", "6", "--samples", "2", "--batch-size", "1",
        "--workers", "0", "--real",
        **{kept_server.VARIABLE: arms.kept_server()},
    )  # fmt: skip
    lines = printed.splitlines()
    assert lines[0].startswith("true ratio 1.000")
    spread = r" +\d+\.\d{3} +\d+\.\d{3} +\d+\.\d % +\d+\.\d %"
    assert re.fullmatch(rf"modelgate -n 0{spread} +[01]/1", lines[1])
    assert lines[2].strip() == "rounds: [6]"
    assert re.fullmatch(rf"plain, alone, all cores{spread}", lines[3])
    assert re.fullmatch(rf"plain, 1 at a time, 1 thread each{spread}", lines[4])


@pytest.fixture
def judged(scripts, monkeypatch):
    """Let the suite "judge" without a run: every task gets the same speedup; what was asked for is returned."""
    import null_ratio
    import suite

    asked = []

    def judge(directory, tasks, arguments, cores=None):
        asked.append(([task["prompt_id"] for task in tasks], arguments, cores))
        return [
            suite.Judged(
                task["prompt_id"], "pass", "", suite.Speedup(value=2.0, low=1.9, high=2.1), suite.Quality(),
                task["prompt_id"],
            )
            for task in tasks
        ]  # fmt: skip

    monkeypatch.setattr(null_ratio, "judge", judge)
    return asked


def test_real_candidates_are_judged_in_three_ways(judged, tmp_path, capsys):
    import null_ratio

    sizes = null_ratio.Sizes(pairs=1, rounds=6, samples=2, batch_size=1, workers=2)
    null_ratio.print_real_candidates(tmp_path, ["tome", "scheduler"], sizes)
    printed = capsys.readouterr().out
    assert printed.count("2.00 [1.90, 2.10]") == 6
    assert "overlap: {'tome': True, 'scheduler': True}" in printed
    together, alone, exclusive = judged
    assert together[0] == ["tome", "scheduler", "other0", "other1", "other2"]
    assert alone[0] == exclusive[0] == ["tome", "scheduler"]
    assert len(alone[2]) == 1
    assert "--exclusive" in exclusive[1]
