"""The command line as a user meets it: what is asked for and asked of nothing ends the run before anything runs."""

from __future__ import annotations

import sys

import pytest
import warm
from suites import ROOT, own_environment

USAGE_ERROR = 4


def run(*arguments, work):
    return warm.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--work-dir", str(work), *arguments],
        cwd=ROOT, timeout=120, env=own_environment(),
    )  # fmt: skip


def refused(finished):
    """Return the one line that a refused run ends with."""
    assert finished.returncode == USAGE_ERROR, finished.stdout + finished.stderr
    lines = [line for line in (finished.stdout + finished.stderr).splitlines() if line.startswith("ERROR: ")]
    assert len(lines) == 1, finished.stdout + finished.stderr
    return lines[0].removeprefix("ERROR: ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cases/test_reranking.py", "--min-rank-score", "digist=0.99"], "is named 'digist'; nearest: digits"),
        (["cases/test_reranking.py", "-k", "shapes", "--min-rank-score", "digits=0.9"], "named 'digits'"),
        (["cases/test_language.py", "--min-score", "winogrd_ppl=99.9"], "nearest: winograd_ppl"),
        (["cases/test_language.py", "--models", "tiny_lm", "--generation-kwargs", "top_k=3"], "--generation-kwargs"),
        (["cases/test_language.py", "--models", "tiny_lm", "--hf-type", "chat"], "--hf-type"),
        (["cases/test_language.py", "--tables", "xlsx"], "--tables: applies to regression and reranking cases"),
        (["cases/test_regression.py", "--limit", "3"], "--limit: applies to language cases, and none of them is run"),
        (["cases/test_reranking.py", "--require", "reranking:mmr@10>=0.5"], "nearest: mrr@10"),
        (["cases/test_reranking.py", "--require", "language:accuracy>=0.5"], "no metric of language cases that are run"),
        (["cases/test_reranking.py", "--require", "mrr>0.5"], "--require mrr>0.5: expected KIND:[NAME.]METRIC>=N"),
        (["cases/test_acceleration.py", "--num-samples", "few"], "--num-samples few: expected a whole number of at least 2"),
        (["cases/test_reranking.py", "--seed", "-3"], "--seed"),
        (["cases/test_reranking.py", "--user-dir", "nowhere"], "no such folder"),
        (["tests/core/test_gate.py", "--limit", "3"], "--limit: applies to language cases"),
    ],
)  # fmt: skip
def test_what_is_asked_of_nothing_is_refused_with_one_line(arguments, message, tmp_path):
    line = refused(run("--collect-only", "-q", *arguments, work=tmp_path / "out"))
    assert message in line
    assert not (tmp_path / "out").exists(), "nothing was begun"


@pytest.mark.slow
def test_workers_refuse_it_too_and_nothing_is_left(tmp_path):
    finished = run(
        "cases/test_reranking.py", "-n", "2", "--min-rank-score", "digist=0.9", work=tmp_path / "out"
    )
    assert "nearest: digits" in refused(finished)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_what_the_ini_file_or_addopts_say_for_all_runs_is_no_mistake_of_this_one(tmp_path):
    finished = run(
        "cases/test_reranking.py", "--collect-only", "-q", "-o", "modelgate_limit=3", "-o", "addopts=--limit 3",
        work=tmp_path / "out",
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr


@pytest.mark.slow
def test_a_requirement_is_a_gate_of_its_own(tmp_path):
    finished = run(
        "cases/test_reranking.py", "-k", "digits", "--require", "reranking:digits.mrr@10>=0.99",
        work=tmp_path / "out",
    )  # fmt: skip
    assert finished.returncode == 1, finished.stdout
    assert "mrr@10 0.8214 [0.7258, 0.9052] of 58, at least 0.99 required" in finished.stdout


@pytest.mark.slow
def test_options_of_every_kind_are_written_down(tmp_path):
    import json

    finished = run("cases/test_reranking.py", "-k", "digits", "--seed", "7", work=tmp_path / "out")
    assert finished.returncode == 0, finished.stdout
    options = json.loads((tmp_path / "out" / "latest" / "configs" / "options.json").read_text())
    assert options["run"]["seed"] == "7"
    assert options["reranking"]["tie_rule"] == "pessimistic"
    assert set(options) >= {"acceleration", "language", "regression", "reranking", "evaluated"}
