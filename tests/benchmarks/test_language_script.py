"""benchmarks/language.py: speed of scoring and generating, with and without lm-evaluation-harness."""

import importlib.util
import re

import pytest

NEEDS_PEER = pytest.mark.skipif(
    importlib.util.find_spec("lm_eval") is None, reason="lm-eval is not installed: see the extra 'lm-eval'"
)
SMALLEST = ("--questions", "2", "--repeats", "1", "--shapes", "1", "--layers", "1")


def rows_of(printed: str) -> dict[str, list[str]]:
    """Return the cells of the comparison by label."""
    return {line[:34].strip(): line[34:].split() for line in printed.splitlines() if len(line) > 34}


@pytest.mark.slow
def test_modelgate_alone_is_measured_without_the_peer_and_whole_runs_are_timed(run_script):
    printed = run_script(
        "language.py", "--skip-peer", *SMALLEST, "--batches", "4", "--rows", "4", "--datasets", "piqa_ll",
        "--workers", "2",
    )  # fmt: skip
    rows = rows_of(printed)
    seconds, *dashes, megabytes = rows["3 choices of 8 to 9 tokens"]
    assert float(seconds) >= 0
    assert dashes == ["-"] * 4
    assert float(megabytes) > 50
    assert re.fullmatch(r"\d+\.\d\d", rows["generation, 40 tokens"][0])
    assert "4 choices of one token" not in rows
    assert "piqa_ll with tiny-lm and a random GPT-2, seconds of a whole run" in printed
    number = r" +\d+\.\d+"
    assert re.search(rf"^batch 4, 4 rows each{number * 6}$", printed, re.MULTILINE)


@NEEDS_PEER
@pytest.mark.slow
def test_both_are_measured_and_agree_and_so_do_three_ways_to_run_one_task(run_script):
    rows = rows_of(run_script("language.py", "--skip-suite", "--skip-memory", *SMALLEST))
    *_, difference, equal = rows["3 choices of 8 to 9 tokens"]
    assert float(difference) < 1e-3
    assert equal == "True"
    assert rows["generation, 40 tokens"][-1] == "1/1"
    ways = [
        rows[name] for name in ("cases, --lm-eval-tasks", "lm_eval --model modelgate", "lm_eval --model hf")
    ]
    assert [equal for *_, equal in ways] == ["True"] * 3
    assert {tuple(scores) for _, _, *scores, _ in ways} == {tuple(ways[0][2:4])}
    assert all(float(seconds) > 0 for seconds, *_ in ways)
    assert float(ways[-1][1]) == 1.0


def test_a_missing_peer_is_named_with_what_to_do(scripts, monkeypatch, capsys):
    import language

    monkeypatch.setattr("sys.argv", ["language.py"])
    monkeypatch.setattr(language.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as leaving:
        language.main()
    assert leaving.value.code == 2
    assert "install the extra 'lm-eval', or give --skip-peer" in capsys.readouterr().err


def test_accuracies_are_by_log_likelihood_and_by_log_likelihood_per_character(scripts):
    import language

    questions = [language.Question("a", ["x", "yyyy"], 1), language.Question("b", ["x", "yyyy"], 0)]
    scores = [[-2.0, -4.0], [-2.0, -4.0]]
    assert language.accuracies(questions, scores) == (0.5, 0.5)
    assert language.accuracies(questions[:1], scores[:1]) == (0.0, 1.0)


def test_runs_alternate(scripts):
    import language

    order = []
    seconds = language.alternate(
        {"ours": lambda: order.append("ours"), "peer": lambda: order.append("peer")}, repeats=2
    )
    assert order == ["ours", "peer", "peer", "ours", "ours", "peer"]
    assert {name: len(times) for name, times in seconds.items()} == {"ours": 2, "peer": 2}
