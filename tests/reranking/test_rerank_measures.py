"""What rankings are worth: random order, intervals, the gates, and the data that they are computed of."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from bench.core.errors import TuningProblem
from bench.core.gate import judge_gain, judge_limit
from bench.metrics import ranking
from bench.metrics.ranking.random_order import EXPECTATIONS, expected_values
from bench.metrics.regression import RegressionMetric, with_interval
from bench.reranking.measures import NAMES, join, measure
from bench.reranking.queries import QuerySet, read_jsonl
from bench.statistics.bootstrap import mean_intervals


def query_set(**changes) -> QuerySet:
    parts = {
        "ids": ("a", "b"),
        "queries": ["which?", "what?"],
        "candidates": [["x", "y", "z"], ["x"]],
        "relevances": [[0, 1, 0], [1]],
        "documents": [["d1", "d2", "d3"], ["d1"]],
    }
    return QuerySet(**{**parts, **changes})


# Random order


@pytest.mark.parametrize(
    ("gains", "missing"),
    [
        ([1, 0, 0], []),
        ([1, 1, 0, 0, 0], []),
        ([3, 0, 1, 0, 2], []),
        ([1, 0, 0, 1], [2.0]),
        ([0, 0, 0], [1.0]),
        ([1], []),
    ],
)
def test_the_expectation_is_the_mean_over_all_orders(gains, missing):
    n, relevant = len(gains), sum(gain > 0 for gain in gains) + len(missing)
    orders = list(itertools.permutations(range(n)))
    ranked = ranking.rank(
        np.array(orders, float).ravel(),
        np.tile(gains, len(orders)),
        offsets=np.arange(len(orders) + 1) * n,
        relevant_counts=[relevant] * len(orders),
        missing_gains=missing * len(orders),
    )
    ks = (1, 2, 3, 10)
    values = ranking.evaluate(ranked, tuple(EXPECTATIONS), ks).values
    for name, of_all in values.items():
        expected = expected_values(ranked, name)
        assert np.ptp(expected) == 0  # the order of the input does not matter
        assert expected[0] == pytest.approx(of_all.mean(), abs=1e-12), name


def test_queries_that_are_not_scored_have_no_expectation_and_empty_ones_have_none_to_offer():
    ranked = ranking.rank([3.0, 2.0], [1, 0], offsets=[0, 2, 2, 2], relevant_counts=[1, 2, 0])
    assert len(ranking.evaluate(ranked).queries) == 2
    np.testing.assert_allclose(expected_values(ranked, "mrr@10"), [0.75, 0])
    with pytest.raises(KeyError, match="nearest: mrr"):
        expected_values(ranked, "mmr@10")
    with pytest.raises(ValueError, match="whole number after @"):
        expected_values(ranked, "mrr@ten")


# Intervals


def test_intervals_of_columns_are_those_of_each_mean_alone():
    values = np.random.default_rng(0).random((40, 3))
    mean = RegressionMetric("mean", lambda samples: samples.mean(samples.gold), higher_is_better=True)
    for column, (low, high) in zip(values.T, mean_intervals(values, seed=3), strict=True):
        alone = with_interval(mean, column, np.zeros(40), seed=3)
        assert (low, high) == pytest.approx((alone.low, alone.high), abs=1e-12)
    with pytest.raises(ValueError, match="at least two samples"):
        mean_intervals(values[:1], seed=0)
    with pytest.raises(ValueError, match="finite"):
        mean_intervals([[1.0], [math.nan]], seed=0)


# Measuring


def test_a_constant_ranker_does_not_profit_and_a_good_one_does():
    rng = np.random.default_rng(0)
    sizes = rng.integers(3, 20, 60)
    qrels = {f"q{i}": {f"d{j}": float(j == 0) for j in range(n)} for i, n in enumerate(sizes)}
    constant = measure({query: dict.fromkeys(documents, 1.0) for query, documents in qrels.items()}, qrels)
    assert constant.record["gain"]["high"] < 0
    assert judge_gain(constant.record["gain"]).reason_code == "baseline_not_beaten"
    assert constant.record["queries"]["tied_candidates"] == sizes.sum()
    good = measure({query: {d: -int(d[1:]) for d in documents} for query, documents in qrels.items()}, qrels)
    assert judge_gain(good.record["gain"]).holds
    assert good.record["score"]["value"] == 1.0
    assert tuple(good.record["metrics"]) == NAMES
    noise = measure(
        {query: {d: rng.random() for d in documents} for query, documents in qrels.items()}, qrels
    )
    assert judge_gain(noise.record["gain"]).reason_code == "baseline_not_beaten"


def test_what_cannot_be_scored_is_counted_and_shown():
    run = {"a": {"x": 2.0, "y": 1.0}, "b": {"x": 1.0}, "c": {}, "d": {"x": 1.0, "y": 0.0}}
    qrels = {"a": {"y": 1.0}, "b": {"x": 0.0}, "c": {"z": 1.0}, "d": {"x": 1.0}}
    measured = measure(run, qrels)
    counts = measured.record["queries"]
    assert (counts["total"], counts["scored"]) == (4, 3)
    assert (counts["without_relevant"], counts["without_candidates"]) == (1, 1)
    assert measured.record["score"]["value"] == pytest.approx((0.5 + 0 + 1) / 3)
    table = measured.table(case="mine")
    assert [len(column) for column in table.values()] == [5] * 7
    assert list(table["document"]) == ["x", "y", "x", "x", "y"]
    assert list(table["rank"]) == [1, 2, 1, 1, 2]


def test_one_query_has_values_and_no_interval_and_no_verdict():
    measured = measure({"a": {"x": 2.0, "y": 1.0}}, {"a": {"x": 1.0}})
    metric = measured.record["metrics"]["mrr@10"]
    assert (metric["value"], metric["low"]) == (1.0, None)
    assert "one query" in metric["reason"]
    assert judge_gain(measured.record["gain"]).verdict == "inconclusive"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_is_refused_with_its_query(bad):
    with pytest.raises(ValueError, match="query 'b'"):
        measure({"a": {"x": 1.0}, "b": {"x": bad}}, {"a": {"x": 1.0}, "b": {"x": 1.0}})


def test_unknown_metrics_and_data_of_which_nothing_can_be_ranked_are_refused():
    with pytest.raises(TuningProblem, match=r"nearest: .*mrr@10"):
        measure({"a": {"x": 1.0}}, {"a": {"x": 1.0}}, primary="mrr@11")
    with pytest.raises(TuningProblem, match="expected at least one that can be scored"):
        measure({"a": {"x": 1.0}}, {"a": {"x": 0.0}})
    with pytest.raises(TuningProblem, match="expected the same names in both"):
        measure({"a": {"x": 1.0}}, {"b": {"x": 1.0}})


# Gates


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.6, 0.8, "pass"), (0.4, 0.5, "inconclusive"), (0.2, 0.4, "fail")]
)
def test_a_limit_is_compared_with_the_end_of_the_interval(low, high, verdict):
    metric = {"value": (low + high) / 2, "low": low, "high": high, "n": 9, "reason": None}
    assert judge_limit("mrr@10", metric, 0.45).verdict == verdict
    mirrored = {"value": -(low + high) / 2, "low": -high, "high": -low, "n": 9, "reason": None}
    assert judge_limit("rmse", mirrored, -0.45, at_most=True).verdict == verdict
    bare = judge_limit("mrr@10", {**metric, "low": None, "high": None}, 0.45)
    assert bare.verdict == ("fail" if metric["value"] < 0.45 else "pass")
    assert "no interval known" in bare.reason
    assert judge_limit("mrr@10", metric, None).holds


def test_a_metric_without_a_value_is_never_a_pass():
    missing = {"value": None, "low": None, "high": None, "n": 9, "reason": "constant"}
    assert judge_limit("pearson", missing, None).verdict == "inconclusive"


# Query sets


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"documents": [["d1", "d2", "d2"], ["d1"]]}, "'d2' twice in query 'a'"),
        ({"documents": [["d1", "d2"], ["d1"]]}, "2 documents in query 'a'"),
        ({"documents": [["d1", "d 2", "d3"], ["d1"]]}, "without blanks"),
        ({"ids": ("a", "a")}, "'a' twice in the set"),
        ({"ids": ("a",)}, "one of each for each query"),
        ({"relevances": [[0, -1, 0], [1]]}, "relevance of -1 in query 'a'"),
        ({"relevances": [[0, math.nan, 0], [1]]}, "relevance of nan in query 'a'"),
    ],
)
def test_a_query_set_that_no_ranking_can_be_computed_of_is_refused(changes, message):
    with pytest.raises(TuningProblem, match=message):
        query_set(**changes)


def test_the_hash_of_a_set_is_that_of_its_contents():
    assert query_set().data_hash == query_set(source="elsewhere").data_hash
    others = [
        query_set(queries=["which?", "who?"]),
        query_set(relevances=[[0, 1, 1], [1]]),
        query_set(missing={"a": {"d9": 1.0}}),
        query_set(candidates=[[np.zeros(2), np.ones(2), "z"], ["x"]]),
    ]
    assert len({query_set().data_hash, *(other.data_hash for other in others)}) == 5


def test_scores_are_joined_by_name_and_a_wrong_number_is_refused_with_its_query():
    run, qrels = join(query_set(missing={"b": {"d9": 1.0}}), [[1, 2, 3], [4]])
    assert run == {"a": {"d1": 1, "d2": 2, "d3": 3}, "b": {"d1": 4}}
    assert measure(run, qrels).values()["recall@10"] == 0.75
    with pytest.raises(TuningProblem, match=r"shape \(2,\) for query 'a'"):
        join(query_set(), [[1, 2], [4]])
    with pytest.raises(TuningProblem, match="scores of 1 queries"):
        join(query_set(), [[1, 2, 3]])


def test_queries_are_read_from_lines_and_a_bad_line_is_named(tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_text('{"query": "q", "candidates": ["x", "y"], "relevances": [0, 1]}\n')
    assert read_jsonl(file).documents == [["candidate-0", "candidate-1"]]
    file.write_text('{"query": "q", "candidates": ["x"], "relevances": [0]}\n{"query": "q"}\n')
    with pytest.raises(TuningProblem, match="line 2: KeyError"):
        read_jsonl(file)
