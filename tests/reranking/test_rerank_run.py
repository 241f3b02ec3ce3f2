"""Whole runs of the reranking cases, as a user starts them, with query sets and rankers of a user's own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from suites import ROOT, Finished, own_cores, own_environment

from bench.core.case import RerankingCase
from bench.core.errors import TuningProblem
from bench.evaluated import evaluation as evaluated
from bench.reranking import options
from bench.reranking.evaluation import RankingEvaluation, RankingSettings

USERS_OWN = '''
"""A query set and rankers; what is wrong with them is in their names."""
import numpy as np
from bench.reranking.library import query_set, ranker
from bench.reranking.queries import QuerySet

def words(count, spoil=""):
    lists = [[f"w{(7 * q + 3 * c) % 29}" for c in range(3 + q % 5)] for q in range(count)]
    if spoil == "duplicate":
        lists[4][1] = lists[4][0]
    return QuerySet(tuple(f"q{q}" for q in range(count)), [texts[q % 3] for q, texts in enumerate(lists)], lists,
                    [[float(c == q % 3) * (0.5 if spoil == "fraction" else 1) for c in range(len(texts))]
                     for q, texts in enumerate(lists)], lists)

@query_set("words", queries="word", candidates="word")
def plain(): return words(40)

@query_set("repeated", queries="twice", candidates="word")
def repeated(): return words(8, "duplicate")

@query_set("fractions", queries="part", candidates="word")
def fractions(): return words(30, "fraction")

def same(queries):
    return [[float(query == text) for text in texts] for query, texts in zip(queries.queries, queries.candidates)]

@ranker("exact", queries="word", candidates="word")
def exact(queries): return same(queries)

@ranker("any_form", sets=("repeated", "fractions"))
def any_form(queries): return same(queries)

@ranker("reversed", queries="word", candidates="word")
def upside_down(queries): return [[-score for score in scores] for scores in same(queries)]

@ranker("half_right", queries="word", candidates="word")
def half_right(queries):
    return [scores if number % 4 else [-score for score in scores] for number, scores in enumerate(same(queries))]

@ranker("no_number", queries="word", candidates="word")
def no_number(queries):
    scores = same(queries)
    scores[3][1] = float("nan")
    return scores

@ranker("too_short", queries="word", candidates="word")
def too_short(queries): return [scores[:2] for scores in same(queries)]

@ranker("raising", queries="word", candidates="word")
def raising(queries): raise OSError("the index is gone")

@ranker("flat", queries="word", candidates="word", expect="baseline_not_beaten")
def flat(queries): return [np.zeros(len(texts)) for texts in queries.candidates]

@ranker("good_control", queries="word", candidates="word", expect="baseline_not_beaten")
def good_control(queries): return same(queries)
'''
EXPECTED = {
    "exact-words": "passed",
    "any_form-repeated": "data_failed",
    "any_form-fractions": "passed",
    "reversed-words": "baseline_not_beaten",
    "half_right-words": "score_missed",
    "no_number-words": "inference_failed",
    "too_short-words": "inference_failed",
    "raising-words": "inference_failed",
    "control-flat-words": "rejected_as_expected",
    "control-good_control-words": "not_rejected",
}


class RerankingRun:
    """Runs ``cases/test_reranking.py`` in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, *arguments: str) -> Finished:
        finished = subprocess.run(
            [
                "taskset", "--cpu-list", own_cores(arguments), sys.executable, "-m", "pytest",
                str(ROOT / "cases/test_reranking.py"), "-p", "no:cacheprovider", "--rootdir", str(ROOT),
                "-c", str(ROOT / "pytest.ini"), "--work-dir", str(self.directory / "out"), *arguments,
            ],
            cwd=self.directory, capture_output=True, text=True, check=False, timeout=300, env=own_environment(),
        )  # fmt: skip
        latest = self.directory / "out/latest"
        results = latest / "evaluation_results.json"
        return Finished(
            finished.returncode,
            finished.stdout + finished.stderr,
            json.loads(results.read_text()) if results.is_file() else None,
            latest.resolve(),
        )


@pytest.fixture
def reranking(tmp_path):
    return RerankingRun(tmp_path)


@pytest.fixture
def own(tmp_path) -> Path:
    folder = tmp_path / "own_rankers"
    folder.mkdir()
    (folder / "words.py").write_text(USERS_OWN)
    return folder


def comparable(finished: Finished) -> list[dict]:
    return [
        {name: value for name, value in record.items() if name != "duration_s"}
        for record in finished.results["records"]
    ]


def test_each_fault_ends_its_own_case_and_serial_and_parallel_runs_give_the_same_records(reranking, own):
    names = [name.removeprefix("control-").split("-")[0] for name in EXPECTED]
    sets = ("words", "repeated", "fractions")
    asked = ("--user-dir", str(own), "--rankers", *dict.fromkeys(names), "--query-sets", *sets, "--min-rank-score",
             "half_right/words=0.99", "--tables", "csv,xlsx")  # fmt: skip
    serial = reranking.run(*asked, "--junitxml", str(reranking.directory / "junit.xml"))
    records = {record["id"]: record for record in serial.results["records"]}
    assert {name: record["reason_code"] for name, record in records.items()} == EXPECTED, serial.output
    assert serial.code == 1
    for name, said in {
        "any_form-repeated": "twice in query 'q4'",
        "no_number-words": "a score of nan in query 'q3'",
        "too_short-words": "shape (2,) for query 'q0', expected (3,)",
        "raising-words": "OSError: the index is gone",
    }.items():
        assert said in records[name]["reason"]
    good = records["exact-words"]
    assert good["files"].keys() == {"run", "qrels", "csv", "xlsx"}
    assert all((serial.directory / file).is_file() for file in good["files"].values())
    assert "qrels" not in records["any_form-fractions"]["files"]
    assert "not whole numbers" in records["any_form-fractions"]["warnings"][0]
    assert serial.results["summary"]["controls"] == {"total": 2, "rejected": 1}
    assert "gain over the trivial" in serial.output
    properties = {
        (case.get("name"), entry.get("name")): entry.get("value")
        for case in ElementTree.parse(reranking.directory / "junit.xml").iter("testcase")
        for entry in case.iter("property")
    }
    assert properties["test_ranking[half_right-words]", "required_score"] == "0.99"

    parallel = reranking.run(*asked, "-n", "2")
    assert comparable(parallel) == comparable(serial)


def test_a_users_run_is_judged_by_its_qrels_under_the_rule_that_is_asked_for(reranking, tmp_path):
    run, qrels = tmp_path / "mine.run", tmp_path / "truth.qrels"
    run.write_text("".join(f"q{q} Q0 d{d} 0 {5 - d} me\n" for q in range(12) for d in range(5)))
    qrels.write_text("".join(f"q{q} 0 d{q % 2} 1\n" for q in range(13)))  # one query more than in the run
    given = ("--run-file", str(run), "--qrels", str(qrels))
    finished = reranking.run(*given, "--min-rank-score", "truth=0.5", "--tie-rule", "docid_desc")
    (record,) = finished.results["records"]
    assert record["id"] == "mine-truth"
    assert record["score"]["value"] == pytest.approx((6 * 1 + 6 * 0.5) / 13)
    assert (record["tie_rule"], record["queries"]["without_candidates"]) == ("docid_desc", 1)
    assert record["verdict"] == "pass", finished.output

    run.write_text("q0 Q0 d0 0 nan me\n")
    settings = RankingSettings(tmp_path, run_file=run, qrels=qrels)
    with pytest.raises(TuningProblem, match=r"mine.run, line 1: found a score of 'nan'"):
        RankingEvaluation(RerankingCase("mine-truth", "mine", "truth"), settings).rank()


@pytest.mark.parametrize(
    ("resolve", "name", "value", "message"),
    [
        (options.resolve, "run_file", "nowhere.run", "--run-file nowhere.run: no such file"),
        (options.resolve, "run_file", __file__, "a run is judged by its qrels; give both"),
        (options.resolve, "min_rank_score", ["digits=two"], "expected [RANKER/]SET=N"),
        (options.resolve, "min_rank_score", ["digits=60"], "N from 0 to 1"),
        (evaluated.resolve, "evaluated", [str(ROOT / "tests")], "found no evaluations"),
        (evaluated.resolve, "require", ["mrr@10>=0.5"], "name them with --evaluated"),
        (evaluated.resolve, "require", ["mrr@10=0.5"], "expected [RECORD:]METRIC>=N"),
    ],
)
def test_an_option_that_cannot_be_used_says_what_was_expected(
    resolve, name, value, message, pytestconfig, monkeypatch
):
    monkeypatch.setattr(pytestconfig.option, name, value)
    with pytest.raises(pytest.UsageError, match=re.escape(message)):
        resolve(pytestconfig)


def test_collecting_imports_no_framework(reranking):
    code = (
        "import sys, pytest\n"
        f"assert not pytest.main(['--collect-only', '-q', {str(ROOT / 'cases/test_reranking.py')!r}, '-p', "
        f"'no:cacheprovider', '--rootdir', {str(ROOT)!r}, '-c', {str(ROOT / 'pytest.ini')!r}])\n"
        "found = {'torch', 'transformers', 'sklearn', 'datasets', 'pyarrow'} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=reranking.directory, capture_output=True, text=True, check=False,
        env=own_environment(),
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
