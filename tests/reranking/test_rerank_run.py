"""Whole runs of the reranking cases, as a user starts them, with query sets and rankers of a user's own."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from comparing import by_id, comparable, run_kind
from suites import ROOT, own_environment

from bench.core.errors import TuningProblem, UsageProblem
from bench.core.evaluation import RunContext
from bench.reranking.case import RerankingCase
from bench.reranking.evaluation import RerankingEvaluation, RerankingResources
from bench.reranking.options import RerankingOptions, check, resolve

USERS_OWN = '''
"""A query set and rankers; what is wrong with them is in their names."""
import numpy as np
from bench.metrics.ranking import RANKING_METRICS
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

@RANKING_METRICS.register("always_half")
def always_half(hits): return np.full(hits.counts.shape, 0.5)

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


@pytest.fixture
def own(tmp_path) -> Path:
    folder = tmp_path / "own_rankers"
    folder.mkdir()
    (folder / "words.py").write_text(USERS_OWN)
    return folder


def test_each_fault_ends_its_own_case_and_serial_and_parallel_runs_give_the_same_records(tmp_path, own):
    names = [name.removeprefix("control-").split("-")[0] for name in EXPECTED]
    sets = ("words", "repeated", "fractions")
    asked = ("--user-dir", str(own), "--rankers", *dict.fromkeys(names), "--query-sets", *sets, "--min-rank-score",
             "half_right/words=0.99", "--tables", "csv,xlsx")  # fmt: skip
    serial = run_kind("reranking", tmp_path, *asked, "--junitxml", str(tmp_path / "junit.xml"))
    records = by_id(serial)
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
    assert good["metrics"]["always_half@5"]["value"] == 0.5  # registered in the user's file, and nowhere else
    assert good["gain"]["expected"] == pytest.approx(good["score"]["value"] - good["gain"]["value"])
    assert good["files"].keys() == {"run", "qrels", "csv", "xlsx", "metric_csv", "metric_xlsx"}
    assert (serial.directory / "results/exact/exact-words/metric.csv").is_file()
    assert all((serial.directory / file).is_file() for file in good["files"].values())
    assert "qrels" not in records["any_form-fractions"]["files"]
    assert "not whole numbers" in records["any_form-fractions"]["warnings"][0]
    assert serial.results["summary"]["controls"] == {"total": 2, "rejected": 1}
    assert "gain over the trivial" in serial.output
    properties = {
        (case.get("name"), entry.get("name")): entry.get("value")
        for case in ElementTree.parse(tmp_path / "junit.xml").iter("testcase")
        for entry in case.iter("property")
    }
    assert properties["test_reranking[half_right-words]", "required_score"] == "0.99"

    parallel = run_kind("reranking", tmp_path, *asked, "-n", "2")
    assert [comparable(record) for record in parallel.results["records"]] == [
        comparable(record) for record in serial.results["records"]
    ]


def test_a_users_run_is_judged_by_its_qrels_under_the_rule_that_is_asked_for(tmp_path):
    run, qrels = tmp_path / "mine.run", tmp_path / "truth.qrels"
    run.write_text("".join(f"q{q} Q0 d{d} 0 {5 - d} me\n" for q in range(12) for d in range(5)))
    qrels.write_text("".join(f"q{q} 0 d{q % 2} 1\n" for q in range(13)))  # one query more than in the run
    given = ("--run-file", str(run), "--qrels", str(qrels))
    finished = run_kind(
        "reranking", tmp_path, *given, "--min-rank-score", "truth=0.5", "--tie-rule", "docid_desc", "--require",
        "reranking:mine/truth.mrr@10>=0.5",
    )  # fmt: skip
    (record,) = finished.results["records"]
    assert record["id"] == "mine-truth"
    assert record["score"]["value"] == pytest.approx((6 * 1 + 6 * 0.5) / 13)
    assert (record["tie_rule"], record["queries"]["without_candidates"]) == ("docid_desc", 1)
    assert record["verdict"] == "pass", finished.output
    # In the table, and in a sentence below it.
    assert "13, 1 without candidates" in finished.output
    assert "mine-truth: 13 queries, 1 without candidates (0 where something is relevant)" in finished.output

    run.write_text("q0 Q0 d0 0 nan me\n")
    case = RerankingCase("mine-truth", "mine", "truth", run_file=run, qrels=qrels)
    given = RerankingResources(RerankingOptions(), ("csv",))
    with pytest.raises(TuningProblem, match=r"mine.run, line 1: found a score of 'nan'"):
        RerankingEvaluation(case, RunContext(tmp_path, tmp_path), given).run()


def test_a_table_of_predictions_is_judged_without_a_ranker_and_compared_with_its_first_stage(tmp_path):
    table, base = tmp_path / "mine.csv", tmp_path / "first.run.gz"
    rows = [(q, d, int(d == q % 3)) for q in range(20) for d in range(5)]
    table.write_text("query,candidate,score,relevance\n" + "".join(f"{q},{d},{r},{r}\n" for q, d, r in rows))
    base.write_bytes(gzip.compress("".join(f"{q} Q0 {d} 0 {-d} me\n" for q, d, _ in rows).encode()))
    finished = run_kind(
        "reranking", tmp_path, "--predictions", str(table), "--base-run", str(base), "--rank-metrics", "ndcg@3", "p@2",
        "--require", "reranking:gain_over_base>=0.05", "mine.p@2>=0.6",
    )  # fmt: skip
    (record,) = finished.results["records"]
    assert (record["id"], record["score"]["metric"], record["score"]["value"]) == ("mine", "ndcg@3", 1.0)
    assert (record["verdict"], record["reason_code"]) == ("fail", "requirement_missed"), finished.output
    assert "precision@2 0.5 [0.5, 0.5] of 20, at least 0.6 required" in record["reason"]
    assert record["base"]["low"] > 0.05
    assert "gain over the base run" in finished.output
    refused = run_kind("reranking", tmp_path, "--predictions", str(table), "--rank-metrics", "ndgc@3")
    assert refused.code == 4, refused.output
    assert "no ranking metric is named 'ndgc'; nearest: ndcg" in refused.output
    assert "Traceback" not in refused.output


def test_a_required_score_of_nothing_that_is_run_ends_the_run_with_the_nearest_names(tmp_path):
    run, qrels = tmp_path / "mine.run", tmp_path / "truth.qrels"
    run.write_text("q0 Q0 d0 0 1 me\n")
    qrels.write_text("q0 0 d0 1\n")
    finished = run_kind(
        "reranking", tmp_path, "--run-file", str(run), "--qrels", str(qrels), "--min-rank-score", "truht=0.99"
    )
    assert finished.code == 4, finished.output
    assert finished.results is None
    assert (
        "--min-rank-score truht=0.99: no query set that is run is named 'truht'; nearest: truth"
        in finished.output
    )
    assert "Traceback" not in finished.output


def test_a_required_score_is_asked_of_a_set_or_of_a_ranker_with_its_set_and_never_of_a_control():
    cases = [RerankingCase("a-b", "a", "b"), RerankingCase("control-c-d", "c", "d", expect="gain_undecided")]
    for name in ("b", "a/b"):
        check(RerankingOptions(min_rank_score={name: 0.5}), cases)
    for name in ("a", "d", "c/d"):
        with pytest.raises(UsageProblem, match=f"--min-rank-score {name}=0.5: no query set that is run"):
            check(RerankingOptions(min_rank_score={name: 0.5}), cases)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"run_file": Path("nowhere.run")}, "--run-file nowhere.run: no such file"),
        ({"run_file": Path(__file__)}, "--run-file: found one of --run-file and --qrels, expected both"),
        ({"qrels": Path(__file__)}, "--qrels: found one of --run-file and --qrels, expected both"),
        (
            {"min_rank_score": {"digits": 60}},
            "--min-rank-score digits=60: expected [RANKER/]SET=N with N from 0 to 1",
        ),
    ],
)
def test_an_option_that_cannot_be_used_says_what_was_expected(given, message):
    with pytest.raises(UsageProblem, match=re.escape(message)):
        resolve(RerankingOptions(**given), SimpleNamespace())


def test_collecting_imports_no_framework(tmp_path):
    code = (
        "import sys, pytest\n"
        f"assert not pytest.main(['--collect-only', '-q', {str(ROOT / 'cases/test_reranking.py')!r}, '-p', "
        f"'no:cacheprovider', '--rootdir', {str(ROOT)!r}, '-c', {str(ROOT / 'pytest.ini')!r}])\n"
        "found = {'torch', 'transformers', 'sklearn', 'datasets', 'pyarrow'} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False,
        env=own_environment(),
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
