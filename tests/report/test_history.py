"""Runs in an SQLite file: what is kept, what is shown of it, what is refused."""

from __future__ import annotations

import sqlite3

import page_runs
import pytest
from test_page import Reader

from bench.cli.main import main
from bench.core.errors import UsageProblem
from bench.kinds import KINDS
from bench.report.history import History
from bench.report.history_text import environment_changes, html, lines


def runs(folder, speedups, **fields):
    """Write a run for each speedup; the one that is half of those before it has another torch."""
    for number, speedup in enumerate(speedups, 1):
        torch = "2.6" if speedup >= speedups[0] * 0.8 else "2.7"
        environment = {**page_runs.ENVIRONMENT, "packages": {"torch": torch}}
        made = page_runs.accelerated(1, speedup=speedup, width=0.01, **fields)
        name = f"run-{number:02}"
        yield page_runs.load(
            page_runs.write_run(
                folder / name, [made, page_runs.control()], day=number, environment=environment
            )
        )


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    work = tmp_path_factory.mktemp("history")
    with History(work / "h.sqlite") as history:
        for run in runs(work, [2.0, 2.02, 1.99, 2.01, 2.0, 1.5, 1.51, 1.49, 1.5]):
            history.add(run, KINDS)
        return history.series()


def test_values_come_back_in_the_order_of_time(series):
    assert [(one.name, one.metric) for one in series] == [
        ("medium-sd-deepcache-1", "quality loss"), ("medium-sd-deepcache-1", "speedup"), ("all tasks", "pass rate"),
    ]  # fmt: skip
    speed = series[1]
    assert [point.estimate.value for point in speed.points] == [
        2.0,
        2.02,
        1.99,
        2.01,
        2.0,
        1.5,
        1.51,
        1.49,
        1.5,
    ]
    assert [point.run for point in speed.points][:2] == ["run-01", "run-02"]
    assert (speed.points[0].estimate.unit, speed.points[0].estimate.low) == ("x", pytest.approx(1.98))


def test_a_run_is_there_once_whoever_adds_it(tmp_path):
    (run,) = runs(tmp_path, [2.0])
    for _ in range(2):
        with History(tmp_path / "h.sqlite") as history:
            history.add(run, KINDS)
            assert [len(one.points) for one in history.series()] == [1, 1, 1]
    page_runs.write_run(run.directory, [page_runs.accelerated(1, speedup=3.0)], day=1)
    with History(tmp_path / "h.sqlite") as history:
        history.add(page_runs.load(run.directory), KINDS)
        assert history.series(metric="speedup")[0].points[0].estimate.value == 3.0
        assert history.series(cases=["nothing"]) == []


def test_a_change_of_level_is_shown_with_what_changed_around_it(series):
    pytest.importorskip("ruptures", reason="needs ruptures")
    text = "\n".join(lines(series))
    assert (
        "medium-sd-deepcache-1 · speedup: 2.00× → 1.50× (worse) since 2026-03-06 10:00 UTC, run run-06; "
        in text
    )
    assert "with it changed torch 2.6 → 2.7" in text
    assert "quality loss:" not in text


def test_without_ruptures_the_values_are_shown_and_the_package_is_named(series, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ruptures", None)
    text = "\n".join(lines(series))
    assert "pip install ruptures" in text
    assert "▇" in text or "█" in text
    assert "pip install ruptures" in Reader(html(series)).text


def test_changes_of_the_environment_are_listed(series):
    assert environment_changes(series) == [("run-06", "2026-03-06 10:00 UTC", "torch 2.6 → 2.7")]


def test_the_page_has_a_curve_for_each_value_and_escapes(tmp_path):
    with History(tmp_path / "h.sqlite") as history:
        for run in runs(tmp_path, [2.0, 2.1], hostile=page_runs.HOSTILE):
            history.add(run, KINDS)
        reader = Reader(html(history.series()))
    assert page_runs.HOSTILE in "".join(reader.texts)
    assert {tag for tag, _ in reader.tags} & {"script", "img"} == set()
    assert sum(tag == "polyline" for tag, _ in reader.tags) == 3


def test_the_command_adds_and_shows(tmp_path, capsys):
    folders = [str(run.directory) for run in runs(tmp_path, [2.0, 2.1])]
    file, page = tmp_path / "h.sqlite", tmp_path / "h.html"
    assert main(["history", str(file)]) == 4
    assert "found no such file" in capsys.readouterr().err
    assert main(["history", str(file), "--add", *folders, "--metric", "speedup", "--html", str(page)]) == 0
    out = capsys.readouterr().out
    assert "medium-sd-deepcache-1" in out
    assert "looked for from 6 runs on" in out or "ruptures" in out
    assert "speedup" in page.read_text(encoding="utf-8")
    assert main(["history", str(file), "--cases", "nothing"]) == 4
    assert (
        "--cases nothing: found it in no id, expected a part of one, such as medium-sd"
        in capsys.readouterr().err
    )
    assert main(["history", str(file), "--metric", "speed"]) == 4
    assert "--metric speed: no case has it; expected one of " in capsys.readouterr().err


def test_a_file_of_another_kind_or_version_is_refused_and_untouched(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("these are notes " * 100)
    with pytest.raises(UsageProblem, match="cannot be used as a history"):
        History(text)
    assert text.read_text().startswith("these are notes")
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE mine (x)")
    database.close()
    with pytest.raises(UsageProblem, match="another program or version"):
        History(other)
    alike = tmp_path / "alike.sqlite"
    with sqlite3.connect(alike) as database:
        database.execute("CREATE TABLE mine (x)")
        database.execute("PRAGMA user_version = 1")
    database.close()
    with pytest.raises(UsageProblem, match="another program or version"):
        History(alike)


def test_a_file_without_runs_stays_as_it_is(tmp_path, capsys):
    empty = tmp_path / "empty"
    empty.touch()
    assert main(["history", str(empty)]) == 4
    assert "found an empty file" in capsys.readouterr().err
    assert empty.stat().st_size == 0
    (run,) = runs(tmp_path, [2.0])
    page_runs.write_run(tmp_path / "none", [])
    assert main(["history", str(empty), "--add", str(tmp_path / "none")]) == 4
    assert "found no run in it" in capsys.readouterr().err
    assert main(["history", str(empty), "--add", str(run.directory)]) == 0


def test_a_damaged_file_or_one_that_may_not_be_written_is_refused_without_a_traceback(tmp_path, capsys):
    (run,) = runs(tmp_path, [2.0])
    file = tmp_path / "h.sqlite"
    assert main(["history", str(file), "--add", str(run.directory)]) == 0
    with sqlite3.connect(file) as database:
        database.execute("DROP TABLE points")
        database.execute("CREATE TABLE points (x)")
    database.close()
    capsys.readouterr()
    for more in ([], ["--add", str(run.directory)]):
        assert main(["history", str(file), *more]) == 4
        assert "it cannot be used as a history" in capsys.readouterr().err
