"""benchmarks/language.py: speed of scoring and generating, with and without lm-evaluation-harness."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from suites import ROOT

NEEDS_PEER = pytest.mark.skipif(
    importlib.util.find_spec("lm_eval") is None, reason="lm-eval is not installed: see the extra 'lm-eval'"
)
GENERATIONS = (
    "generation, 40 tokens",
    "generation after shared examples",
    "generation of unequal lengths",
)
WAYS = ("cases, --lm-eval-tasks", "lm_eval --model modelgate", "lm_eval --model hf")
SMALLEST = ("--questions", "2", "--repeats", "1", "--shapes", "1", "--layers", "1")


def rows_of(printed: str) -> dict[str, list[str]]:
    """Return the cells of the comparison by label."""
    return {line[:38].strip(): line[38:].split() for line in printed.splitlines() if len(line) > 38}


@pytest.fixture
def run_main(scripts, monkeypatch, capsys):
    """Run the script in this process; return what it printed."""
    import language

    def run(*arguments: object) -> str:
        monkeypatch.setattr("sys.argv", ["language.py", *map(str, arguments)])
        language.main()
        return capsys.readouterr().out

    return run


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the smallest model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        from language_sides import build_model

        directory = tmp_path_factory.mktemp("language") / "benchmark"
        build_model(directory, 32, 1)
    return directory


@pytest.fixture
def questions(scripts, model):
    import language

    return language._questions_of(model, 2)


@pytest.mark.slow
def test_modelgate_alone_is_measured_without_the_peer(run_main):
    rows = rows_of(run_main("--skip-peer", "--skip-memory", "--skip-suite", *SMALLEST))
    seconds, theirs, ratio, asked, *dashes = rows["3 choices of 8 to 9 tokens"]
    assert float(seconds) >= 0
    assert [theirs, ratio, asked] == ["-", "-", "3.0"]
    assert dashes == ["-"] * 3
    for label in GENERATIONS:
        assert re.fullmatch(r"\d+\.\d\d", rows[label][0])
        assert rows[label][1:5] == ["-", "-", "1.5", "-"]
    assert "4 choices of one token" not in rows


@NEEDS_PEER
@pytest.mark.slow
def test_both_are_measured_and_agree(run_script):
    printed = run_script(
        "language.py", *SMALLEST, "--skip-memory", "--skip-ways", "--skip-suite", "--clock", "processor"
    )
    rows = rows_of(printed)
    _, _, ratio, asked, met, difference, equal = rows["3 choices of 8 to 9 tokens"]
    assert met == ("yes" if float(ratio) >= float(asked) else "no")
    assert float(difference) < 1e-3
    assert equal == "True"
    assert [rows[label][-1] for label in GENERATIONS] == ["1/1"] * 3


@pytest.mark.slow
def test_memory_is_that_of_a_process_that_scores(
    scripts, monkeypatch, capsys, run_main, model, questions, tmp_path
):
    import language

    asked = [language.Question(**question) for question in questions]
    file = tmp_path / "questions.json"
    file.write_bytes(msgspec.json.encode(asked))
    begun = []

    def in_this_process(command, **_):
        begun.append(command[:2])
        return subprocess.CompletedProcess(command, 0, stdout=run_main(*command[2:]))

    monkeypatch.setattr(language.subprocess, "run", in_this_process)
    peak = language.peak_bytes(model, "ours", file)
    assert begun == [[sys.executable, language.__file__]]
    assert 50e6 < peak < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    language.print_row("a label", {"ours": [1.0]}, 1.0, "-", "-", {"ours": peak, "peer": 2e6})
    assert capsys.readouterr().out.split()[-2:] == [f"{peak / 1e6:.0f}", "2"]


@NEEDS_PEER
@pytest.mark.slow
def test_three_ways_to_run_a_task_are_timed_and_compared(scripts, monkeypatch, capsys, model, questions):
    import language_runs

    by_harness = []

    def harness(folder, command):  # which the exhaustive test starts
        by_harness.append(command[:4])
        return {"acc,none": 0.25, "acc_norm,none": 2.0}

    monkeypatch.setattr(language_runs, "_by_harness", harness)
    language_runs.print_ways(model, questions, 2, repeats=1)
    assert by_harness == [
        ["lm_eval", "run", "--model", "hf"], ["bench.language.harness.lm", "run", "--model", "modelgate"]
    ]  # fmt: skip
    rows = rows_of(capsys.readouterr().out)
    ours, theirs, peer = (rows[name] for name in WAYS)
    assert all(float(seconds) >= 0 for seconds, *_ in (ours, theirs, peer))
    assert ours[-1] == "False"
    assert {float(score) for score in ours[4:6]} <= {0, 0.5, 1}
    assert theirs[2:] == ["2.0", theirs[3], "0.2500", "2.0000", "True"]
    assert peer[1:] == ["1.00", "-", "-", "0.2500", "2.0000", "True"]


@pytest.mark.slow
def test_whole_runs_are_timed_on_one_core_serially_and_with_workers(scripts, monkeypatch, capsys, model):
    import language_runs

    one_run, asked = language_runs.run_cases, []

    def run_cases(kind, directory, arguments, cores, *, must_pass):
        if not asked:  # the others are the same on other cores
            assert one_run(kind, directory, arguments, cores, must_pass=must_pass) > 0
        asked.append((list(arguments), cores))
        return float(len(asked))

    monkeypatch.setattr(language_runs, "run_cases", run_cases)
    (model.parent / "random").symlink_to(model)
    language_runs.print_suite(model.parent, ["4"], 4, ["piqa_ll"], 2)
    (options, first), serial, workers = asked
    assert first == {0}
    assert serial == (options, None)
    assert workers == ([*options, "-n", "2"], None)
    printed = capsys.readouterr().out
    assert "piqa_ll with tiny-lm and a random GPT-2, seconds of a whole run" in printed
    assert re.search(r"^batch 4, 4 rows each +1\.0 +2\.0 +3\.0 +0\.67 +0\.33 +4\.00$", printed, re.MULTILINE)


@NEEDS_PEER
@pytest.mark.slow
@pytest.mark.exhaustive
def test_whole_commands_and_runs_are_timed_and_agree(run_script):
    printed = run_script(
        "language.py", *SMALLEST, "--clock", "processor", "--batches", "4", "--rows", "4", "--datasets", "piqa_ll",
        "--workers", "2",
    )  # fmt: skip
    rows = rows_of(printed)
    *_, equal, ours, peer = rows["3 choices of 8 to 9 tokens"]
    assert equal == "True"
    assert float(ours) > 50
    assert float(peer) > 50
    ways = [rows[name] for name in WAYS]
    assert [equal for *_, equal in ways] == ["True"] * 3
    assert {tuple(scores) for *_, first, second, _ in ways for scores in [(first, second)]} == {
        tuple(ways[0][4:6])
    }
    assert all(float(seconds) > 0 for seconds, *_ in ways)
    assert [asked for _, _, asked, *_ in ways] == ["2.0", "2.0", "-"]
    assert float(ways[-1][1]) == 1.0
    assert "piqa_ll with tiny-lm and a random GPT-2, seconds of a whole run" in printed
    number = r" +\d+\.\d+"
    assert re.search(rf"^batch 4, 4 rows each{number * 6}$", printed, re.MULTILINE)


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


def test_a_row_says_whether_the_ratio_that_is_asked_for_is_reached(scripts, capsys):
    import language

    seconds = {"ours": [1.0, 2.0, 1.0], "peer": [3.0, 5.0, 3.1]}
    for asked, met in ((3.0, "yes"), (3.01, "no")):
        language.print_row("a label", seconds, asked, "1e-6", "True", {})
        assert capsys.readouterr().out.split()[2:6] == ["1.00", "3.10", "3.00", str(round(asked, 1))]
        language.print_row("a label", seconds, asked, "1e-6", "True", {})
        assert capsys.readouterr().out.split()[6] == met


def test_texts_are_stopped_by_a_character_that_comes_earlier_in_some(scripts):
    import language

    assert language.uneven_stop(["xaaaa", "aaaax", "aaaaa"]) == "x"
    assert language.uneven_stop(["", ""]) == "\n"


def test_processor_time_counts_processes_that_have_ended(scripts):
    import language_runs

    clock = language_runs.CLOCKS["processor"]
    begin = clock()
    subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)
    assert clock() > begin


def test_runs_alternate(scripts):
    import language

    order = []
    seconds = language.alternate(
        {"ours": lambda: order.append("ours"), "peer": lambda: order.append("peer")}, repeats=2
    )
    assert order == ["ours", "peer", "peer", "ours", "ours", "peer"]
    assert {name: len(times) for name, times in seconds.items()} == {"ours": 2, "peer": 2}
