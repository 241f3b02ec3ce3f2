"""``report``: what a run came to, from its journal or from its results alone."""

import page_runs
import pytest

from bench.cli.main import main


@pytest.fixture
def run(tmp_path):
    """Return the folder of a run that has results and no journal, as an artifact of a CI."""
    return page_runs.mixed(tmp_path / "run")


@pytest.mark.parametrize("name", ["", "evaluation_results.json"])
def test_results_alone_are_shown_and_drawn(run, name, capsys):
    before = (run / "evaluation_results.json").read_bytes()
    assert main(["report", str(run / name)]) == 0
    out = capsys.readouterr().out
    assert "total 7, passed 5, failed 1, inconclusive 1, errors 0, skipped 0, pass rate 71.4 %" in out
    assert (run / "report.html").read_text(encoding="utf-8").count("hard-sd-deepcache-2")
    assert (run / "evaluation_results.json").read_bytes() == before


@pytest.mark.parametrize("columns", ["", "80"])
def test_no_line_is_wider_than_a_hundred_columns_or_those_asked_for_and_reasons_are_whole(
    tmp_path, capsys, monkeypatch, columns
):
    monkeypatch.setenv("COLUMNS", columns)
    reason = "far too slow " * 30 + "the end"
    records = [page_runs.accelerated(1), page_runs.accelerated(2, verdict="fail", reason=reason)]
    records[0].id = "x" * 400
    run = page_runs.write_run(tmp_path / "run", records)
    assert main(["report", str(run), "--no-html"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines if not line.startswith("results: ")) <= int(columns or 100)
    assert "    " + reason[:70].rsplit(" ", 1)[0] in "\n".join(lines)
    assert any(line.endswith("the end") for line in lines)


@pytest.mark.parametrize("content", [None, "", "{", "[]", "[" * 100_000])
def test_what_is_no_run_is_refused_and_untouched(tmp_path, content, capsys):
    file = tmp_path / "evaluation_results.json"
    if content is not None:
        file.write_text(content)
    for place in (tmp_path, file):
        assert main(["report", str(place)]) == 4
        assert "expected" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == ([] if content is None else [file])
