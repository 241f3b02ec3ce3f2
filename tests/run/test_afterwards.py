"""What follows a run: its page, the comparison that may fail it, the history; and what is refused before it begins."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import page_runs
import pytest
import warm
from suites import ROOT, own_environment

from bench.core.errors import UsageProblem
from bench.core.kind import Section
from bench.core.options import Setting
from bench.kinds import KINDS
from bench.report.history import History
from bench.report.markdown import markdown, write_step_summary
from bench.report.results import ResultsFile
from bench.run.afterwards import Afterwards, check_afterwards, follow_up

EVALUATIONS = Path(__file__).with_name("contract") / "evaluations"


def results_of(folder, records):
    page_runs.write_run(folder, records)
    run = page_runs.load(folder)
    results = ResultsFile(folder / "evaluation_results.json", run.run, KINDS)
    for (kind, identity), plain in run.plain.items():
        results.add(f"{kind}::{identity}", plain)
    return results


def setting(folder):
    return Setting(run=SimpleNamespace(work_dir=folder), given=frozenset(), directory=folder, workers=1)


def asked(folder, **fields):
    standard = {"with_page": True, "compare_to": None, "fail_on": (), "history": None}
    return check_afterwards(**{**standard, **fields}, setting=setting(folder), kinds=KINDS)


def test_page_comparison_and_history_are_made(tmp_path):
    page_runs.write_run(tmp_path / "before", [page_runs.accelerated(1, speedup=2.0)])
    results = results_of(tmp_path / "after", [page_runs.accelerated(1, speedup=1.2)])
    wanted = asked(tmp_path, compare_to="before", fail_on=("regression",), history=tmp_path / "h.sqlite")
    found = follow_up(results, KINDS, wanted)
    assert found.has_regressed
    (problem,) = found.problems
    assert problem == "--fail-on regression: 1 of 1 cases got worse: medium-sd-deepcache-1"
    for name in ("report.html", "comparison.html", "comparison.md"):
        assert (tmp_path / "after" / name).is_file()
    with History(tmp_path / "h.sqlite") as history:
        assert len(history.series(metric="speedup")) == 1


def test_a_run_that_got_no_worse_does_not_fail_and_no_page_is_made_unasked(tmp_path):
    page_runs.write_run(tmp_path / "before", [page_runs.accelerated(1, speedup=2.0)])
    results = results_of(tmp_path / "after", [page_runs.accelerated(1, speedup=2.01)])
    wanted = asked(
        tmp_path, with_page=False, compare_to="before/evaluation_results.json", fail_on=("regression",)
    )
    found = follow_up(results, KINDS, wanted)
    assert (found.has_regressed, found.problems) == (False, [])
    assert not list((tmp_path / "after").glob("*.html"))
    unasked = follow_up(results, KINDS, Afterwards(with_page=False, compare_to=tmp_path / "before"))
    assert unasked.problems == []


def test_what_fails_is_said_and_keeps_nothing_else_from_being_done(tmp_path):
    results = results_of(tmp_path / "run", [page_runs.accelerated(1)])
    (tmp_path / "run/report.html").mkdir()
    found = follow_up(results, KINDS, Afterwards(history=tmp_path / "h.sqlite"))
    (problem,) = found.problems
    assert problem.startswith("the page could not be made (")
    assert (tmp_path / "h.sqlite").is_file()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"fail_on": ("regression",)}, "found no --compare-to, expected the run"),
        ({"compare_to": "nowhere"}, "--compare-to nowhere: found no such run"),
        ({"compare_to": "latest"}, "--compare-to latest: found no such run"),
        ({"compare_to": "notes.json"}, "found no whole JSON"),
        ({"history": Path("notes.json")}, "cannot be used as a history"),
        ({"history": Path("nowhere/h.sqlite")}, "found no folder"),
    ],
)
def test_what_cannot_be_done_is_refused_before_the_run(tmp_path, fields, said):
    (tmp_path / "notes.json").write_text("these are notes " * 100)
    if "history" in fields:
        fields = {"history": tmp_path / fields["history"]}
    with pytest.raises(UsageProblem, match=said):
        asked(tmp_path, **fields)


# The summary of a step


def test_the_summary_of_a_step_stays_under_its_limit(tmp_path):
    reason = "a long reason " * 60
    records = [page_runs.accelerated(n, verdict="fail", reason=f"{reason}{n}") for n in range(1500)]
    results = results_of(tmp_path / "run", records)
    sections = [Section("acceleration", [("group", "total"), ("all", "1500")], ["a note"])]
    full = markdown(results, sections, limit=10**9)
    assert len(full.encode()) > 2**20
    target = tmp_path / "step.md"
    target.write_text("x" * 300_000)
    write_step_summary(results, sections, {"GITHUB_STEP_SUMMARY": str(target)})
    text = target.read_text(encoding="utf-8")
    assert len(text.encode()) < 2**20
    assert "of 1500 rows are left out for the size of this text" in text
    assert text.index("not passed") < text.index("| all | 1500 |") < text.index("a note")
    write_step_summary(results, sections, {"GITHUB_STEP_SUMMARY": str(target)})
    assert len(target.read_bytes()) < 2**20


# The command line


def run(work, *arguments):
    environment = own_environment({"PYTEST_ADDOPTS": ""})
    del environment["MODELGATE_NO_HTML"]
    return warm.run(
        [
            sys.executable, "-m", "pytest", "cases/test_evaluated.py", "-p", "no:cacheprovider", "-q", "--evaluated",
            str(EVALUATIONS), "--work-dir", str(work), *arguments,
        ],
        cwd=ROOT, timeout=300, env=environment,
    )  # fmt: skip


@pytest.mark.slow
def test_the_options_of_pytest(tmp_path):
    first = run(tmp_path / "work", "--history", str(tmp_path / "h.sqlite"))
    assert first.returncode == 0, first.stdout + first.stderr
    page = tmp_path / "work/latest/report.html"
    assert f"page: {page.resolve()}" in first.stdout
    assert "mine-faq" in page.read_text(encoding="utf-8")
    second = run(
        tmp_path / "work", "--no-html", "--compare-to", "latest", "--fail-on", "regression",
        "--require", "evaluated:mrr@10>=0.999", "--history", str(tmp_path / "h.sqlite"),
    )  # fmt: skip
    assert second.returncode == 1
    assert "--fail-on regression: 1 of 1 cases got worse: evaluated-mine-faq" in second.stdout
    assert not page.exists()
    assert (tmp_path / "work/latest/comparison.md").is_file()
    with History(tmp_path / "h.sqlite") as history:
        assert [len(one.points) for one in history.series(metric="pass rate")] == [2]
    refused = run(tmp_path / "work", "--fail-on", "regression")
    assert refused.returncode == 4
    assert "found no --compare-to" in refused.stderr


def test_a_kind_without_a_view_gets_what_all_records_have(tmp_path):
    kinds = {name: replace(kind, page=None) for name, kind in KINDS.items()}
    results = results_of(tmp_path / "run", [page_runs.accelerated(1), page_runs.noted()])
    found = follow_up(results, kinds, Afterwards())
    assert found.problems == []
    assert "What was measured" in (tmp_path / "run/report.html").read_text(encoding="utf-8")
