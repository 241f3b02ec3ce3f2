"""benchmarks/null_ratio.py: one pipeline against itself."""

import pytest


def test_it_prints_how_far_each_protocol_is_from_the_truth(judged, scripts, tmp_path, monkeypatch, capsys):
    """Runs of both protocols are in the tests of verdict_cost.py; here it is what is asked of them and printed."""
    import null_ratio
    import suite

    started = []
    monkeypatch.setattr(null_ratio, "start_plain", lambda *words: started.append(words) or words)
    monkeypatch.setattr(
        null_ratio,
        "finish_plain",
        lambda words: [suite.PlainResult("null0", ratio, None) for ratio in (0.9, 1.2)],
    )
    words = "--pairs 3 --rounds 6 --samples 2 --batch-size 1 --workers 2 --real"
    monkeypatch.setattr("sys.argv", ["null_ratio.py", *words.split()])
    null_ratio.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "true",
        "ratio",
        "1.000",
        "least",
        "most",
        "median",
        "off",
        "worst",
        "off",
        "cover",
        "1",
    ]
    assert lines[1].split() == ["modelgate", "-n", "2", "2.000", "2.000", "100.0", "%", "100.0", "%", "0/3"]
    assert lines[2].split() == ["rounds:", "[6,", "6,", "6]"]
    assert lines[3].split()[-6:] == ["0.900", "1.200", "15.0", "%", "20.0", "%"]
    assert lines[4].split()[-6:] == ["0.900", "1.200", "10.0", "%", "20.0", "%"]  # as many as there are pairs
    assert [words[words.index("--repeat") + 1] for words in started] == ["3", "2", "2"]
    assert ["--threads" in words for words in started] == [False, True, True]
    (asked,) = judged
    assert asked[0] == ["null0", "null1", "null2"]
    assert "--ungated-precision" in asked[1]


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
                task["prompt_id"], "pass", "", suite.Speedup(value=2.0, low=1.9, high=2.1, rounds=6), suite.Quality(),
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
