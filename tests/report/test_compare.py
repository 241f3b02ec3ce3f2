"""Runs against each other: verdicts that flipped, changes that are real, what one run lacks; in every form."""

from __future__ import annotations

import json
import os
import random

import msgspec
import page_runs
import pytest
from test_page import Reader

from bench.cli.main import main
from bench.kinds import KINDS
from bench.report.compare import compare_runs
from bench.report.compare_text import html, lines, markdown, summary_line, unlike_rows
from bench.report.size import COMMENT_BYTES


def run_of(folder, records, **head):
    return page_runs.load(page_runs.write_run(folder, records, **head))


def compared(*runs):
    return compare_runs(runs[0], runs[1:], KINDS)


def answers(right, n=200):
    """Return 0 and 1 for questions, each answered right or not whatever else is."""
    draw = random.Random(5)
    hard = [draw.random() for _ in range(n)]
    return [float(level < right) for level in hard]


def case_of(comparison, name):
    return next(case for case in comparison.cases if case.key[1] == name)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A run and a later one: a speedup fell, a task broke, one became better, one is the same, one is gone, one is new."""
    work = tmp_path_factory.mktemp("pair")
    a, b = work / "a", work / "b"
    before = [
        page_runs.accelerated(1, speedup=2.0, folder=a),
        page_runs.accelerated(2, speedup=2.0, folder=a),
        page_runs.accelerated(3, speedup=2.0, folder=a, verdict="fail"),
        page_runs.accelerated(4, speedup=2.0, folder=a),
        page_runs.accelerated(5, speedup=2.0, folder=a),
        page_runs.asked(values=answers(0.8), folder=a),
        page_runs.fitted(errors=[0.1, -0.4, 2.0, 0.3] * 10, folder=a),
        page_runs.ranked(values=[1.0, 0.5, 0.1, 1.0] * 10, folder=a),
    ]
    after = [
        page_runs.accelerated(1, speedup=1.6, folder=b),
        page_runs.accelerated(2, speedup=2.0, folder=b, verdict="fail", reason="it broke"),
        page_runs.accelerated(3, speedup=2.0, folder=b),
        page_runs.accelerated(4, speedup=2.01, folder=b),
        page_runs.accelerated(6, speedup=2.0, folder=b),
        page_runs.asked(values=answers(0.7), folder=b),
        page_runs.fitted(errors=[0.1, -0.4, 1.9, 0.3] * 10, folder=b),
        page_runs.ranked(values=[1.0, 0.5, 0.1, 1.0] * 10, folder=b),
    ]
    environment = {**page_runs.ENVIRONMENT, "packages": {"torch": "2.7"}}
    return run_of(a, before), run_of(b, after, day=2, environment=environment)


def test_a_run_against_itself_shows_nothing(pair):
    same = compared(pair[0], pair[0])
    assert same.tests > 8
    assert same.regressions == []
    assert not any(case.flips or case.is_better for case in same.cases)
    assert summary_line(same) == "0 verdict flips, 0 regressions, 0 better"


def test_flips_falls_and_gains_are_told_apart(pair):
    found = compared(*pair)
    assert {case.key[1] for case in found.regressions} == {
        "medium-sd-deepcache-1", "medium-sd-deepcache-2", "tiny-siqa_gen",
    }  # fmt: skip
    assert case_of(found, "medium-sd-deepcache-3").is_better
    assert not case_of(found, "medium-sd-deepcache-4").is_regression
    fell = next(
        change for change in case_of(found, "medium-sd-deepcache-1").changes if change.metric == "speedup"
    )
    assert fell.change.value == pytest.approx(0.8)
    assert fell.change.low < 0.8 < fell.change.high < 1
    assert (fell.is_real, fell.is_worse, fell.is_paired) == (True, True, False)
    assert {case.key[1] for case in found.missing} == {"medium-sd-deepcache-5", "medium-sd-deepcache-6"}


def test_the_same_samples_are_paired_and_that_decides_more(pair, tmp_path):
    """8 questions fewer of 200, all among those that were right: two independent scores could not tell."""
    a = run_of(tmp_path / "a", [page_runs.asked(values=answers(0.8), folder=tmp_path / "a")])
    values = answers(0.8)
    for place in [n for n, value in enumerate(values) if value == 1.0][:12]:
        values[place] = 0.0
    b = run_of(tmp_path / "b", [page_runs.asked(values=values, folder=tmp_path / "b")])
    (change,) = case_of(compared(a, b), "tiny-siqa_gen").changes
    assert (change.is_paired, change.is_real, change.is_worse) == (True, True, True)
    assert change.change.value == pytest.approx(-6.0)
    (tmp_path / "b/results/tiny/siqa_gen.json").unlink()
    (change,) = case_of(compared(a, b), "tiny-siqa_gen").changes
    assert not change.is_paired
    assert not change.is_real


def test_values_that_are_not_what_the_score_is_the_mean_of_are_not_paired(tmp_path):
    a = run_of(tmp_path / "a", [page_runs.asked(values=answers(0.8), folder=tmp_path / "a")])
    path = tmp_path / "a/results/tiny/siqa_gen.json"
    stored = json.loads(path.read_text())
    stored["values"]["accuracy"] = [0.5] * 200
    path.write_text(json.dumps(stored))
    (change,) = case_of(compared(a, a), "tiny-siqa_gen").changes
    assert not change.is_paired


def test_each_kind_has_samples_to_pair(pair):
    paired = {
        (case.key[0], change.metric)
        for case in compared(pair[0], pair[0]).cases
        for change in case.changes
        if change.is_paired
    }
    assert paired == {
        ("acceleration", "quality loss"), ("language", "accuracy"), ("regression", "rmse"), ("reranking", "mrr@10"),
    }  # fmt: skip


def test_many_cases_that_only_scatter_hold_no_regression(tmp_path):
    """Sixty tests at 5 % would have three; Holm's rule has none in most runs."""
    draw = random.Random(3)
    runs = [
        run_of(
            tmp_path / name,
            [page_runs.accelerated(n, speedup=2.0 * (1 + draw.gauss(0, 0.025))) for n in range(60)],
        )
        for name in "ab"
    ]
    found = compared(*runs)
    assert (
        sum(change.p is not None and change.p < 0.05 for case in found.cases for change in case.changes) > 0
    )
    assert found.regressions == []


def test_lines_put_flips_first_and_name_what_else_changed(pair):
    text = "\n".join(lines(compared(*pair)))
    order = [
        "2 verdict flips, 3 regressions",
        "\nverdict flips\n",
        "it broke",
        "\nchanges\n",
        "run in another way",
        "\nin one run alone\n",
        "Holm's rule",
    ]
    places = [text.index(word) for word in order]
    assert places == sorted(places)
    assert "torch" in text
    assert "2.7" in text


@pytest.mark.parametrize("columns", ["60", "80", ""])
def test_no_line_of_a_comparison_is_wider_than_the_columns(pair, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    found = lines(compared(*pair))
    assert max(map(len, found)) <= int(columns or 100)
    assert "Holm's rule" in " ".join(found)


def test_several_runs_are_compared_with_the_first(pair):
    found = compared(pair[0], pair[1], pair[0])
    assert found.names == ["a", "b", "a (2)"]
    text = "\n".join(lines(found))
    assert "medium-sd-deepcache-1 (b)" in text
    assert {case.run for case in found.regressions} == {"b"}


def test_markdown_stays_under_the_size_of_a_comment(tmp_path):
    long = "a reason that is long " * 30
    runs = [
        run_of(
            tmp_path / name,
            [page_runs.accelerated(n, verdict=verdict, reason=f"{long} | {n}") for n in range(400)],
        )
        for name, verdict in (("a", "pass"), ("b", "fail"))
    ]
    text = markdown(compared(*runs))
    assert len(text.encode()) <= COMMENT_BYTES
    assert "400 verdict flips, 400 regressions" in text
    assert "of 400 rows are left out for the size of this text" in text
    assert text.rstrip().endswith("a change is called real")
    assert text.count("\\| 0 |") == 1
    small = markdown(compared(*runs), limit=3000)
    assert len(small.encode()) <= 3000
    assert "400 regressions" in small


def test_the_page_of_a_comparison_escapes_what_is_hostile(tmp_path):
    runs = [
        run_of(tmp_path / name, [page_runs.accelerated(1, hostile=page_runs.HOSTILE, verdict=verdict)])
        for name, verdict in (("a", "pass"), ("b", "fail"))
    ]
    reader = Reader(html(compared(*runs)))
    assert page_runs.HOSTILE in "".join(reader.texts)
    assert {tag for tag, _ in reader.tags} & {"script", "img"} == set()
    assert reader.open == []


# The command


def test_the_command_prints_writes_and_fails_where_it_is_asked_to(pair, tmp_path, capsys):
    a, b = (str(run.directory) for run in pair)
    page, comment = tmp_path / "c.html", tmp_path / "c.md"
    assert main(["compare", a, b, "--html", str(page), "--markdown", str(comment)]) == 0
    assert "verdict flips" in capsys.readouterr().out
    assert "Verdict flips" in comment.read_text(encoding="utf-8")
    assert "Verdict flips" in page.read_text(encoding="utf-8")
    assert main(["compare", a, b, "--fail-on", "regression"]) == 1
    assert main(["compare", a, a, "--fail-on", "regression"]) == 0
    assert main(["compare", f"{a}/evaluation_results.json", b, "--markdown", "-"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("called real")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "found no evaluation_results.json"),
        ("{", "found no whole JSON (Input data was truncated)"),
        ("[" * 100_000, "found no whole JSON"),
        ("[1]", "found a list, expected the evaluation_results.json"),
        ("{}", "found an object without schema_version, expected the evaluation_results.json"),
        ('{"schema_version": 1}', "found no `run`, expected an object; write the results again"),
        ('{"schema_version": 1, "run": {}}', "found no `records`, expected a list"),
        ('{"schema_version": 1, "run": {}, "records": 5}', "found a number as `records`, expected a list"),
        (
            '{"schema_version": 1, "run": {"environment": [1]}, "records": []}',
            "Expected `object`, got `array`",
        ),
        ('{"schema_version": 2}', "found schema_version 2, expected 1; read it with the version"),
        (
            '{"schema_version": 1, "run": {}, "records": [{"kind": "language", "id": 7}]}',
            "found a key with a value of another type",
        ),
    ],
)
def test_what_is_no_run_is_refused(tmp_path, capsys, content, said):
    folder = tmp_path / "run"
    folder.mkdir()
    if content is not None:
        (folder / "evaluation_results.json").write_text(content)
    assert main(["compare", str(folder), str(folder)]) == 4
    assert said in capsys.readouterr().err


def test_a_verdict_that_there_is_not_is_refused(tmp_path, capsys):
    folder = page_runs.write_run(tmp_path / "run", [page_runs.accelerated()])
    file = folder / "evaluation_results.json"
    file.write_text(file.read_text().replace('"verdict": "pass"', '"verdict": "great"', 1))
    for command in ("table", "compare"):
        assert main([command, str(folder), *([str(folder)] if command == "compare" else [])]) == 4
        assert "found the verdict 'great', expected one of pass, fail" in capsys.readouterr().err


def test_what_a_link_leads_to_or_a_pipe_is_written_and_not_replaced(pair, tmp_path):
    runs = [str(run.directory) for run in pair]
    real, link = tmp_path / "real.html", tmp_path / "link.html"
    real.write_text("old")
    link.symlink_to(real)
    assert main(["compare", *runs, "--html", str(link)]) == 0
    assert link.is_symlink()
    assert real.read_text().startswith("<!doctype html>")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert main(["compare", *runs, "--markdown", str(pipe)]) == 0
    assert os.read(reader, 13) == b"## Modelgate:"
    os.close(reader)
    assert pipe.is_fifo()


def test_a_place_that_cannot_be_written_is_named_as_it_was_given(pair, tmp_path, capsys):
    runs = [str(run.directory) for run in pair]
    for place, said in (
        (tmp_path, "Is a directory"),
        (tmp_path / "gone/x.html", "No such file or directory"),
    ):
        assert main(["compare", *runs, "--html", str(place)]) == 4
        assert capsys.readouterr().err == f"{place}: {said}; choose another place\n"
    assert main(["compare", *runs, "--html", ""]) == 4
    assert "argument --html: found an empty text, expected a path" in capsys.readouterr().err


def test_names_and_ids_stay_in_their_line_and_steer_no_terminal(tmp_path):
    name = "x\x1b[2J\n\u202eabc 😀"
    runs = []
    for number, records in enumerate(([page_runs.accelerated()], [])):
        folder = page_runs.write_run(tmp_path / str(number), records, id=f"run\n{number}")
        runs.append(page_runs.load(folder))
    hostile = page_runs.accelerated(2)
    hostile.id = name
    runs.append(page_runs.load(page_runs.write_run(tmp_path / "2", [hostile], id="run\x1b[1m")))
    found = lines(compare_runs(runs[0], runs[1:], KINDS))
    assert found[0] == "run 1 and run\\x1b[1m against run 0"
    assert any(r"acceleration: x\x1b[2J \u202eabc 😀" in line for line in found)
    assert all(line.isprintable() for line in found)


def test_an_estimate_that_one_run_has_no_value_of_is_named(tmp_path):
    before = page_runs.asked("faq", values=[1.0, 0.0])
    after = page_runs.asked("faq", values=[1.0, 0.0])
    after.score = msgspec.structs.replace(after.score, metric="f1")
    runs = [run_of(tmp_path / name, [record]) for name, record in (("a", before), ("b", after))]
    comparison = compared(*runs)
    rows = [("tiny-faq", "accuracy", "50.0 %", "–"), ("tiny-faq", "f1", "–", "50.0 %")]
    assert unlike_rows(comparison) == rows
    assert "measured in one run alone" in lines(comparison)
    assert "### Measured in one run alone" in markdown(comparison)
    assert "Measured in one run alone" in html(comparison)
    assert unlike_rows(compared(runs[0], runs[0])) == []


def test_rows_for_which_a_terminal_has_no_room_are_counted(tmp_path):
    runs = []
    for name, metric in (("a", "accuracy"), ("b", "f1")):
        records = [page_runs.asked(f"faq{number}", values=[1.0, 0.0]) for number in range(21)]
        for record in records:
            record.score = msgspec.structs.replace(record.score, metric=metric)
        runs.append(run_of(tmp_path / name, records))
    found = lines(compared(*runs))
    assert found[found.index("measured in one run alone") + 42] == "2 more; --html or --markdown has them"


def test_flips_and_cases_of_one_run_for_which_there_is_no_room_are_counted(tmp_path):
    passed = [page_runs.asked(f"faq{number}", values=[1.0, 0.0]) for number in range(43)]
    failed = [page_runs.asked(f"faq{number}", values=[1.0, 0.0]) for number in range(43)]
    for record in failed:
        record.verdict, record.reason_code, record.reason = "fail", "requirement_missed", "too low"
    others = [page_runs.asked(f"other{number}", values=[1.0, 0.0]) for number in range(41)]
    found = lines(compared(run_of(tmp_path / "a", passed), run_of(tmp_path / "b", [*failed, *others])))
    assert found[found.index("verdict flips") + 42] == "3 more; --html or --markdown has them"
    assert found[found.index("in one run alone") + 42] == "1 more; --html or --markdown has them"
