"""Runs, qrels and tables of a user's own: what is judged, what is said of it, and what is refused."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bench.core.errors import TuningProblem, UsageProblem
from bench.core.evaluation import RunContext
from bench.core.requirement import check_requirements, parse_requirement
from bench.metrics import ranking
from bench.metrics.ranking.trec import flatten
from bench.report.export import write_table
from bench.reranking.asked import asked_metrics, metric_of
from bench.reranking.base import over_base
from bench.reranking.cases import make_cases
from bench.reranking.evaluation import RerankingEvaluation, RerankingResources
from bench.reranking.kind import KIND
from bench.reranking.measures import measure
from bench.reranking.options import RerankingOptions, resolve
from bench.reranking.predictions import read_predictions


def setting(table: Path | None = None) -> SimpleNamespace:
    return SimpleNamespace(run=SimpleNamespace(predictions=table))


def judged(tmp_path: Path, *, predictions=None, require=(), tables=("csv",), **options):
    """Return the evaluation of the only case of some options, after it was run, and its outcome."""
    given = resolve(RerankingOptions(**options), setting(predictions))
    requirements = tuple(parse_requirement(text, ("reranking",)) for text in require)
    (case,) = make_cases(given, SimpleNamespace(**vars(setting(predictions)), requirements=requirements))
    check_requirements(requirements, [case])
    context = RunContext(tmp_path, tmp_path, requirements=requirements)
    evaluation = RerankingEvaluation(case, context, RerankingResources(given, tables))
    return evaluation, evaluation.run()


@pytest.fixture
def files(tmp_path):
    """Writes files by name and returns their paths."""

    def write(**texts):
        paths = {}
        for name, text in texts.items():
            stem, _, suffix = name.rpartition("_")
            paths[name] = tmp_path / f"{stem}.{suffix}"
            paths[name].write_text(text)
        return paths

    return write


def lines(score, queries=12, documents=5):
    """Return a run in which document d of query q has a score."""
    return "".join(f"q{q} Q0 d{d} 0 {score(q, d)} me\n" for q in range(queries) for d in range(documents))


TRUTH = "".join(f"q{q} 0 d{q % 3} 1\n" for q in range(12))


# Metrics


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ndcg@10", "ndcg@10"), ("nDCG@10", "ndcg@10"), ("ndcg_cut_10", "ndcg@10"), ("ndcg_cut.10", "ndcg@10"),
        ("recall@1000", "recall@1000"), ("map", "map"), ("MAP@5", "map@5"), ("MRR@10", "mrr@10"), ("recip_rank", "mrr"),
        ("p@5", "precision@5"), ("P_5", "precision@5"), ("success@1", "hit_rate@1"), ("hit_rate@3", "hit_rate@3"),
        ("ndcg_exp@7", "ndcg_exp@7"), ("ndcg", "ndcg"),
    ],
)  # fmt: skip
def test_a_metric_is_known_by_the_names_that_people_write(text, name):
    assert metric_of(text) == name
    assert asked_metrics([text]) == {text: name}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ndgc@10", "no ranking metric is named 'ndgc'; nearest: ndcg"),
        ("ndcg@0", "expected a whole number of at least 1 after @, such as ndcg@10"),
        ("ndcg@ten", "expected a whole number of at least 1 after @"),
        ("ndcg@", "expected a whole number of at least 1 after @"),
        ("recall", "found no cut-off, and recall has no value over whole lists; add one, such as recall@10"),
        ("p", "found no cut-off, and precision"),
        ("@5", "no ranking metric is named ''"),
    ],
)
def test_a_metric_that_there_is_not_is_answered_with_what_to_write(text, message):
    with pytest.raises(UsageProblem, match=re.escape(message)) as raised:
        asked_metrics([text])
    assert str(raised.value).startswith(f"--rank-metrics {text}: ")


def test_metrics_at_any_cut_off_are_measured_and_the_first_is_the_score(tmp_path, files):
    paths = files(mine_run=lines(lambda q, d: -abs(d - q % 3) - 0.1 * (q % 4 == d)), truth_qrels=TRUTH)
    evaluation, outcome = judged(
        tmp_path, run_file=paths["mine_run"], qrels=paths["truth_qrels"],
        rank_metrics=("nDCG@3", "recall@1000", "p@2", "map"), min_rank_score={"truth": 0.5},
        require=("reranking:p@2>=0.3", "truth.precision@2>=0.3", "recall@1000>=1", "gain_over_random>=0.1"),
    )  # fmt: skip
    record = evaluation.record
    assert outcome.holds, outcome.reason
    assert {gate for gate in outcome.gates if gate.startswith("required")} == {
        "required reranking:p@2>=0.3", "required truth.precision@2>=0.3", "required recall@1000>=1",
        "required gain_over_random>=0.1",
    }  # fmt: skip
    assert record.score.metric == record.gain.metric == "ndcg@3"
    flat = flatten(*(evaluation._scored().run, evaluation._scored().qrels))
    means = ranking.evaluate(ranking.rank(**vars(flat)), ("ndcg", "precision"), (2, 3)).means()
    assert record.score.value == pytest.approx(means["ndcg@3"])
    assert record.metrics["precision@2"].value == pytest.approx(means["precision@2"])
    assert record.metrics["recall@1000"].value == 1.0
    section = KIND.table(SimpleNamespace(records=[record], options=evaluation._given.options))
    assert section.rows[0][3:7] == ("ndcg@3", "recall@1000", "precision@2", "map")


def test_a_gate_on_a_metric_that_was_asked_for_rejects(tmp_path, files):
    paths = files(mine_run=lines(lambda q, d: -abs(d - q % 3)), truth_qrels=TRUTH)
    evaluation, outcome = judged(
        tmp_path, run_file=paths["mine_run"], qrels=paths["truth_qrels"], rank_metrics=("p@2",), require=("p@2>=0.6",)
    )  # fmt: skip
    assert evaluation.record.metrics["precision@2"].value == 0.5
    assert (outcome.verdict.verdict, outcome.verdict.reason_code) == ("fail", "requirement_missed")


def test_a_metric_that_is_required_is_measured_without_being_asked_for(tmp_path, files):
    paths = files(mine_run=lines(lambda q, d: -abs(d - q % 3)), truth_qrels=TRUTH)
    given = {"run_file": paths["mine_run"], "qrels": paths["truth_qrels"]}
    evaluation, outcome = judged(tmp_path, **given, require=("p@3>=0.4", "truth.ndcg_cut_7>=0.9"))
    assert evaluation.record.score.metric == "mrr@10"
    assert evaluation.record.metrics["precision@3"].value == pytest.approx(1 / 3)
    assert evaluation.record.metrics["ndcg@7"].value == 1.0
    assert (outcome.verdict.verdict, outcome.verdict.reason_code) == ("fail", "requirement_missed")
    with pytest.raises(
        UsageProblem, match="no metric of the cases that are run is named 'precison@3'; nearest"
    ):
        judged(tmp_path, **given, require=("precison@3>=0.4",))


# The base run


def test_the_gain_over_a_base_run_is_paired_query_by_query(tmp_path, files):
    """Worked by hand: MRR of 1, 1/2 and 1/3 in the base, 1 in the run, four queries of each."""
    paths = files(
        mine_run=lines(lambda q, d: float(d == q % 3)), first_run=lines(lambda q, d: -d), truth_qrels=TRUTH
    )
    given = {"run_file": paths["mine_run"], "qrels": paths["truth_qrels"], "base_run": paths["first_run"]}
    evaluation, outcome = judged(
        tmp_path, **given, require=("gain_over_base>=0.1", "mrr@10_over_base>=0.1", "recall@1_over_base>=0.3")
    )
    record = evaluation.record
    expected = 1 - (1 + 1 / 2 + 1 / 3) / 3
    assert record.body.base.value == pytest.approx(expected)
    assert record.body.base.expected == pytest.approx(1 - expected)
    assert record.body.base.low < expected < record.body.base.high
    assert record.body.base.over == "first.run"
    assert record.metrics["recall@1_over_base"].value == pytest.approx(2 / 3)
    assert outcome.holds, outcome.reason
    section = KIND.table(SimpleNamespace(records=[record], options=evaluation._given.options))
    assert section.rows[0][-1] == "gain over the base run"
    assert section.rows[1][-1].startswith("0.389 [")
    assert "+0.389 [" in KIND.headline(record)
    assert "over first.run" in KIND.headline(record)
    with (tmp_path / record.files["metric_csv"]).open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["mrr@10 of the base run"]) for row in rows[:3]] == pytest.approx([1, 1 / 2, 1 / 3])
    assert json.dumps(record.to_json()["base"])

    _, outcome = judged(tmp_path, **given, require=("gain_over_base>=0.7",))
    assert (outcome.verdict.verdict, outcome.verdict.reason_code) == ("fail", "requirement_missed")
    assert "gain_over_base 0.3889 [" in outcome.reason


def test_a_run_that_is_no_better_than_its_base_gains_nothing():
    rng = np.random.default_rng(0)
    qrels = {f"q{q}": {f"d{q % 4}": 1.0} for q in range(60)}
    run = {query: {f"d{d}": rng.random() for d in range(8)} for query in qrels}
    same = over_base(measure(run, qrels), run, qrels, name="itself")
    assert (same.gain.value, same.gain.low, same.gain.high) == (0, 0, 0)
    other = {query: {f"d{d}": rng.random() for d in range(8)} for query in qrels}
    noise = over_base(measure(run, qrels), other, qrels, name="noise")
    assert noise.gain.low < 0 < noise.gain.high
    paired = noise.gain.high - noise.gain.low
    better = {
        query: {d: score + (d in qrels[query]) for d, score in docs.items()} for query, docs in run.items()
    }
    gain = over_base(measure(better, qrels), run, qrels, name="first stage")
    assert gain.gain.low > 0
    assert gain.gain.high - gain.gain.low < paired


def test_queries_that_the_base_run_lacks_are_counted_and_a_base_of_other_queries_is_refused(tmp_path, files):
    paths = files(
        mine_run=lines(lambda q, d: float(d == q % 3)), first_run=lines(lambda q, d: -d, queries=9),
        other_run="elsewhere Q0 d1 1 1 me\n", truth_qrels=TRUTH,
    )  # fmt: skip
    given = {"run_file": paths["mine_run"], "qrels": paths["truth_qrels"]}
    evaluation, _ = judged(tmp_path, **given, base_run=paths["first_run"])
    assert (
        "first.run: 3 of 12 scored queries are not in it and count as 0 there" in evaluation.record.warnings
    )
    with pytest.raises(TuningProblem, match=r"base run other.run: found no query of the run \('elsewhere'\)"):
        judged(tmp_path, **given, base_run=paths["other_run"])


# Grades, lines, queries


def test_negative_grades_count_as_not_relevant_said_once_or_are_refused(tmp_path, files):
    paths = files(
        mine_run="t1 Q0 b 1 9 x\nt1 Q0 a 2 8 x\nt2 Q0 c 1 9 x\nt2 Q0 d 2 8 x\n",
        truth_qrels="t1 0 a 2\nt1 0 b -2\nt2 0 c 1\nt2 0 d -1\n",
    )
    given = {"run_file": paths["mine_run"], "qrels": paths["truth_qrels"]}
    evaluation, _ = judged(tmp_path, **given)
    assert evaluation.record.score.value == 0.75
    assert evaluation.record.body.negative_grades == 2
    assert [text for text in evaluation.record.warnings if "negative" in text] == [
        "2 negative grades are taken for not relevant (--negative-grades)"
    ]
    with pytest.raises(
        TuningProblem, match=r"relevance of -2 for document 'b' of query 't1'.*--negative-grades refuse"
    ):
        judged(tmp_path, **given, negative_grades="refuse")


def test_lines_that_repeat_are_said(tmp_path, files):
    paths = files(mine_run=lines(lambda q, d: d) + "q0 Q0 d1 9 1.0 me\n", truth_qrels=TRUTH + "q1 0 d1 1\n")
    evaluation, _ = judged(tmp_path, run_file=paths["mine_run"], qrels=paths["truth_qrels"])
    assert evaluation.record.warnings == [
        "mine.run: 1 line repeats an earlier one; each is counted once",
        "truth.qrels: 1 line repeats an earlier one; each is counted once",
    ]


def test_queries_that_were_not_scored_are_counted_on_the_screen_in_the_table_and_in_the_record(
    tmp_path, files
):
    """Twelve that were, one without candidates, one without a relevant document, two that the qrels do not name."""
    extra = "".join(f"{query} Q0 d1 1 1 me\n" for query in ("barren", "x1", "x2"))
    paths = files(
        mine_run=lines(lambda q, d: float(d == q % 3)) + extra,
        truth_qrels=TRUTH + "barren 0 d1 0\nunanswered 0 d1 1\n",
    )
    evaluation, _ = judged(tmp_path, run_file=paths["mine_run"], qrels=paths["truth_qrels"])
    record = evaluation.record
    counts = record.to_json()["queries"]
    assert {name: counts[name] for name in ("total", "scored", "without_relevant", "unmatched", "without_candidates")} == {
        "total": 16, "scored": 13, "without_relevant": 3, "unmatched": 2, "without_candidates": 1,
    }  # fmt: skip
    assert record.score.value == pytest.approx(12 / 13)
    remarks = (
        "16 queries: 3 without a relevant document (not scored, 2 of them not in the qrels), 1 without candidates "
        "(0 where something is relevant)"
    )
    assert remarks in KIND.headline(record)
    section = KIND.table(SimpleNamespace(records=[record], options=evaluation._given.options))
    cell = section.rows[1][section.rows[0].index("queries")]
    assert cell == "16, 3 without relevant, 2 not in qrels, 1 without candidates"
    assert section.notes == [f"mine-truth: {remarks.replace('queries:', 'queries,')}"]
    with (tmp_path / record.files["metric_csv"]).open() as file:
        rows = {row["query"]: row for row in csv.DictReader(file)}
    assert len(rows) == 16
    states = {query: rows[query]["state"] for query in ("q0", "barren", "unanswered", "x1")}
    assert states == {
        "q0": "scored", "barren": "no relevant document", "unanswered": "no candidates", "x1": "not in the qrels",
    }  # fmt: skip
    assert [rows[query]["mrr@10"] for query in ("q0", "barren", "unanswered", "x1")] == ["1.0", "", "0.0", ""]
    assert rows["q0"]["candidates"] == "5"
    assert float(rows["q0"]["mrr@10 in random order"]) == pytest.approx(
        (1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 5
    )


def test_names_with_blanks_are_judged_and_no_file_that_cannot_hold_them_is_written(tmp_path, files):
    paths = files(
        mine_run="query-id\tcorpus-id\tscore\n"
        + "".join(f"q {q}\td {d}\t{d}\n" for q in range(9) for d in range(4)),
        truth_qrels="query-id\tcorpus-id\tscore\n" + "".join(f"q {q}\td 3\t1\n" for q in range(9)),
    )
    evaluation, outcome = judged(tmp_path, run_file=paths["mine_run"], qrels=paths["truth_qrels"])
    assert outcome.holds
    assert evaluation.record.files.keys() == {"csv", "metric_csv"}
    assert "TREC files cannot hold what was ranked" in evaluation.record.warnings[0]


# Tables of predictions

ROWS = [(f"00{q}", f"d{d}", -abs(d - q % 3) / 2, int(d == q % 3)) for q in range(12) for d in range(5)]
COLUMNS = dict(
    zip(("query", "candidate", "score", "relevance"), map(list, zip(*ROWS, strict=True)), strict=True)
)


@pytest.mark.parametrize("form", ["csv", "parquet", "xlsx"])
def test_a_table_is_judged_by_its_own_relevances_or_by_qrels(tmp_path, files, form):
    (table,) = write_table(tmp_path / "mine", COLUMNS, (form,))
    evaluation, outcome = judged(tmp_path, predictions=table, tables=("csv", form))
    assert outcome.holds, outcome.reason
    record = evaluation.record
    assert (record.id, record.score.value, record.body.queries.total) == ("mine", 1.0, 12)
    without = {name: values for name, values in COLUMNS.items() if name != "relevance"}
    (bare,) = write_table(tmp_path / "bare", without, (form,))
    qrels = files(truth_qrels="".join(f"{q} 0 {c} {r}\n" for q, c, _, r in ROWS if r))["truth_qrels"]
    by_qrels, _ = judged(tmp_path, predictions=bare, qrels=qrels, base_run=table)
    assert by_qrels.record.id == "bare-truth"
    assert by_qrels.record.score.value == 1.0
    assert by_qrels.record.body.base.value == 0
    # What a run writes is read again, with the same names, scores and relevances.
    again = read_predictions(tmp_path / record.files[form])
    assert again.scores == read_predictions(table).scores
    assert again.relevances == read_predictions(table).relevances


def test_a_table_without_relevances_or_with_others_than_the_qrels_is_refused(tmp_path, files):
    (table,) = write_table(tmp_path / "mine", COLUMNS, ("csv",))
    (bare,) = write_table(
        tmp_path / "bare", {name: COLUMNS[name] for name in ("query", "candidate", "score")}, ("csv",)
    )
    with pytest.raises(TuningProblem, match=r"found no column of relevances, expected one, or --qrels"):
        judged(tmp_path, predictions=bare)
    qrels = files(truth_qrels="000 0 d4 1\n")["truth_qrels"]
    with pytest.raises(
        TuningProblem, match=r"relevance of 1 for candidate 'd0' of query '000', and 0 in .*truth.qrels"
    ):
        judged(tmp_path, predictions=table, qrels=qrels)


def test_names_are_texts_and_headers_have_their_usual_forms(tmp_path):
    table = tmp_path / "mine.csv"
    table.write_bytes(
        b"\xef\xbb\xbfquery-id;Doc ID;Score;query\r\n007;'=d,1;1e-3; why?\r\n007;NA;.5;why?\r\n;;;\r\nnull;1.0;-2;\r\n"
    )
    found = read_predictions(table)
    assert found.scores == {"007": {"=d,1": 0.001, "NA": 0.5}, "null": {"1.0": -2.0}}
    assert found.relevances is None
    table.write_text("query,candidate,score,text\nq,d,1," + "x" * 200_000 + "\n")
    assert read_predictions(table).scores == {"q": {"d": 1.0}}
    (table,) = write_table(
        tmp_path / "whole", {"qid": [1.0, 2.0], "document": [7, 8], "score": [1, 2]}, ("parquet",)
    )
    assert read_predictions(table).scores == {"1": {"7": 1.0}, "2": {"8": 2.0}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found an empty table, expected a header and rows"),
        ("query,candidate,score\n", "found a header and no rows"),
        (
            "query,candidate\nq,d\n",
            "found no column score among query, candidate, expected query, candidate, score",
        ),
        ("key,gold\nq,d\n", "found no column query and no column candidate and no column score"),
        ("query,candidate,score\nq,d,\n", "line 2: found no score, expected a number"),
        ("query,candidate,score\nq,d,nan\n", "line 2: found a score of 'nan', expected a finite number"),
        ("query,candidate,score\nq,d,inf\n", "line 2: found a score of 'inf', expected a finite number"),
        ("query,candidate,score\nq,d,high\n", "line 2: found a score of 'high', expected a finite number"),
        ("query,candidate,score\n,d,1\n", "line 2: found no query, expected its name"),
        ("query,candidate,score\nq, ,1\n", "line 2: found no candidate"),
        ("query,candidate,score\nq,d,e,1\n", "line 2: found 4 cells, expected 3 as in the header"),
        ('query,candidate,score\nq,"d,1\n', "found text that is no table"),
        (
            "query,candidate,score\nq,d,1\nq,d,2\n",
            "line 3: found candidate 'd' of query 'q' again with other values",
        ),
        ("query,candidate,score,relevance\nq,d,1,\n", "line 2: found no relevance"),
        ("query,candidate,score,score\nq,d,1,2\n", "found the column score twice"),
    ],
)
def test_a_table_that_cannot_be_judged_names_the_row(tmp_path, text, message):
    table = tmp_path / "mine.csv"
    table.write_text(text)
    with pytest.raises(TuningProblem, match=re.escape(message)) as raised:
        read_predictions(table)
    assert (raised.value.reason_code, str(table) in str(raised.value)) == ("data_failed", True)


def test_a_file_that_is_no_table_of_its_suffix_says_so(tmp_path):
    for name, message in (
        ("a.parquet", "found no parquet file"),
        ("a.xlsx", "found no workbook of Excel"),
        ("a.json", "found a .json file, expected .csv, .parquet, .xlsx"),
    ):
        (tmp_path / name).write_text("{}")
        with pytest.raises(TuningProblem, match=message):
            read_predictions(tmp_path / name)
    (tmp_path / "latin.csv").write_bytes("query,candidate,score\né,d,1\n".encode("latin-1"))
    with pytest.raises(TuningProblem, match="not UTF-8"):
        read_predictions(tmp_path / "latin.csv")


# Options


@pytest.mark.parametrize(
    ("given", "table", "message"),
    [
        ({"base_run": Path(__file__)}, None, "found nothing to compare with it, expected --run-file or --predictions too"),
        ({}, Path("nowhere.csv"), "--predictions nowhere.csv: no such file; expected a table with the columns"),
        ({}, Path(__file__).parent, "this is a folder; expected a table with the columns"),
        ({"run_file": Path(__file__)}, Path(__file__), "--predictions: found --run-file next to it"),
    ],
)  # fmt: skip
def test_an_option_that_judges_nothing_is_refused(given, table, message):
    with pytest.raises(UsageProblem, match=re.escape(message)):
        resolve(RerankingOptions(**given), setting(table))


def test_a_file_of_gzip_has_the_name_that_it_would_have_without():
    options = RerankingOptions(run_file=Path("mine.run.gz"), qrels=Path("truth.qrels.gz"))
    (case,) = make_cases(options, setting())
    assert (case.id, case.ranker, case.dataset) == ("mine-truth", "mine", "truth")
    assert "gain_over_base" not in case.metrics
