"""What rankings are worth: random order, intervals, the gates, and the data that they are computed of."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest

from bench.core.errors import TuningProblem
from bench.core.estimate import Estimate
from bench.core.gate import Limit, gate
from bench.metrics import ranking
from bench.metrics.ranking.random_order import EXPECTATIONS, expected_values
from bench.metrics.regression import RegressionMetric, with_interval
from bench.reranking.evaluation import judge_gain
from bench.reranking.measures import NAMES, check_metric, join, measure, metric_names
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
    assert constant.gain.high < 0
    verdict = judge_gain(constant.gain)
    assert (verdict.verdict, verdict.reason_code) == ("fail", "baseline_not_beaten")
    assert constant.queries.tied_candidates == sizes.sum()
    good = measure({query: {d: -int(d[1:]) for d in documents} for query, documents in qrels.items()}, qrels)
    assert judge_gain(good.gain).holds
    assert good.score.value == 1.0
    assert tuple(good.metrics) == NAMES
    assert all(metric.metric == name for name, metric in good.metrics.items())
    assert good.metrics["mrr@10"].value == good.score.value
    assert good.gain.value == pytest.approx(good.score.value - good.gain.expected)


def test_a_guess_is_undecided_since_its_interval_contains_zero():
    rng = np.random.default_rng(0)
    qrels = {
        f"q{i}": {f"d{j}": float(j == 0) for j in range(n)} for i, n in enumerate(rng.integers(3, 20, 60))
    }
    noise = measure(
        {query: {d: rng.random() for d in documents} for query, documents in qrels.items()}, qrels
    )
    assert noise.gain.low < 0 < noise.gain.high
    verdict = judge_gain(noise.gain)
    assert (verdict.verdict, verdict.reason_code) == ("inconclusive", "gain_undecided")
    assert "the interval contains the limit; evaluate more queries" in verdict.reason


@pytest.mark.parametrize("primary", ["mrr@10", "ndcg@5", "map", "recall@10"])
def test_a_ranking_that_nothing_could_improve_is_undecided_and_says_so(primary):
    # A shallow run: all candidates of a query are relevant, or there is one only. Every order is right.
    sizes = [1, 2, 3, 7, 9]
    qrels = {f"q{i}": {f"d{j}": 1.0 for j in range(n)} for i, n in enumerate(sizes)}
    run = {query: {d: float(place) for place, d in enumerate(of_query)} for query, of_query in qrels.items()}
    measured = measure(run, qrels, primary=primary)
    assert (measured.gain.value, measured.gain.low, measured.gain.high) == (0.0, 0.0, 0.0)
    verdict = judge_gain(measured.gain)
    assert (verdict.verdict, verdict.reason_code) == ("inconclusive", "gain_undecided")
    assert (
        "every order of the candidates has the same value, so no ranker can gain anything" in verdict.reason
    )
    # One query that can be ranked wrongly is enough for a gain.
    run["q1"]["d2"], qrels["q1"]["d2"] = -1.0, 0.0
    if primary != "recall@10":  # all candidates are among the first ten, whatever their order
        better = measure(run, qrels, primary=primary)
        assert better.gain.value > 0
        assert better.gain.reason is None


def test_what_cannot_be_scored_is_counted_and_shown():
    run = {"a": {"x": 2.0, "y": 1.0}, "b": {"x": 1.0}, "c": {}, "d": {"x": 1.0, "y": 0.0}}
    qrels = {"a": {"y": 1.0}, "b": {"x": 0.0}, "c": {"z": 1.0}, "d": {"x": 1.0}}
    measured = measure(run, qrels)
    counts = measured.queries
    assert (counts.total, counts.scored) == (4, 3)
    assert (counts.without_relevant, counts.without_candidates) == (1, 1)
    assert measured.score.value == pytest.approx((0.5 + 0 + 1) / 3)
    table = measured.table(case="mine")
    assert [len(column) for column in table.values()] == [5] * 7
    assert list(table["document"]) == ["x", "y", "x", "x", "y"]
    assert list(table["rank"]) == [1, 2, 1, 1, 2]


def test_one_query_has_values_and_no_interval_and_no_verdict():
    measured = measure({"a": {"x": 2.0, "y": 1.0}}, {"a": {"x": 1.0}})
    metric = measured.metrics["mrr@10"]
    assert (metric.value, metric.low) == (1.0, None)
    assert "one query" in metric.reason
    verdict = judge_gain(measured.gain)
    assert (verdict.verdict, verdict.reason_code) == ("inconclusive", "gain_undecided")
    assert "one query says nothing of the scatter" in verdict.reason


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
    metric = Estimate(metric="mrr@10", value=(low + high) / 2, low=low, high=high, n=9)
    limit = {"missed": "score_missed", "undecided": "score_undecided"}
    assert gate(metric, Limit(bound=0.45, **limit)).verdict == verdict
    mirrored = Estimate(metric="rmse", value=-(low + high) / 2, low=-high, high=-low, n=9)
    assert gate(mirrored, Limit(bound=-0.45, at_most=True, **limit)).verdict == verdict
    bare = Estimate(metric="mrr@10", value=metric.value, n=9)
    assert gate(bare, Limit(bound=0.45, needs_interval=False, **limit)).verdict == (
        "fail" if metric.value < 0.45 else "pass"
    )
    assert gate(metric, None).holds


def test_a_metric_without_a_value_is_never_a_pass():
    assert gate(Estimate(metric="pearson", n=9, reason="constant"), None).verdict == "inconclusive"


# Metrics of users


def test_a_metric_that_a_user_registers_is_measured_and_can_be_the_score_where_chance_is_known(monkeypatch):
    for registry in (ranking.RANKING_METRICS, EXPECTATIONS):  # what is registered here is gone after the test
        for name in ("_things", "_places"):
            monkeypatch.setattr(registry, name, dict(getattr(registry, name)))

    @ranking.RANKING_METRICS.register("first_hit", whole_list=True)
    def first_hit(hits):
        return (hits.counts > 0).astype(float) * 0.5

    run = {f"q{q}": {f"d{d}": float(d) for d in range(3 + q)} for q in range(6)}
    qrels = {
        query: {"d0": 1.0, **({"d3": 1.0} if len(documents) > 4 else {})} for query, documents in run.items()
    }
    with_own = measure(run, qrels)
    assert tuple(with_own.metrics)[: len(NAMES)] == NAMES
    assert with_own.metrics["first_hit@5"].value == pytest.approx(with_own.metrics["hit_rate@5"].value / 2)
    assert with_own.metrics["first_hit@5"].has_interval
    assert metric_names()[-2:] == ("first_hit@100", "first_hit")
    with pytest.raises(TuningProblem, match="whose value in a random order is known; register that"):
        check_metric("first_hit@5")

    @EXPECTATIONS.register("first_hit")
    def expected_first_hit(query):
        return EXPECTATIONS["hit_rate"](query) * 0.5

    own = measure(run, qrels, primary="first_hit@5")
    of_hits = measure(run, qrels, primary="hit_rate@5")
    assert own.score.metric == own.gain.metric == "first_hit@5"
    assert own.gain.value == pytest.approx(of_hits.gain.value / 2)
    monkeypatch.undo()
    assert "first_hit@5" not in metric_names()
    plain = measure(run, qrels)
    assert plain.metrics == {name: with_own.metrics[name] for name in NAMES}


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
        ({"relevances": [[0, "1", 0], [1]]}, "relevance of '1' in query 'a'"),
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
    good = '{"query": "q", "candidates": ["x"], "relevances": [0]}\n'
    for line, said in (
        ('{"query": "q"}', "found no candidates, relevances"),
        ('{"query": "q", "candidates": "x", "relevances": [0]}', "found no list in candidates"),
        ("[1]", "found a list"),
        ("{", "this is not JSON"),
    ):
        file.write_text(good + line + "\n")
        with pytest.raises(TuningProblem, match=f"mine.jsonl, line 2: {said}") as raised:
            read_jsonl(file)
        assert raised.value.reason_code == "data_failed"
    with pytest.raises(TuningProblem, match="No such file"):
        read_jsonl(tmp_path / "nowhere.jsonl")


def test_a_line_separator_inside_of_a_text_ends_no_line(tmp_path):
    file = tmp_path / "mine.jsonl"
    text = "one\u2028two\u0085three"
    line = json.dumps({"query": text, "candidates": ["x"], "relevances": [1]}, ensure_ascii=False)
    file.write_bytes(b"\xef\xbb\xbf" + f"{line}\r\n{line}\n".encode())
    assert read_jsonl(file).queries == [text, text]
