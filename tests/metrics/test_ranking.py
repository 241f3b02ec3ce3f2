"""Ranking metrics have trec_eval's values, ties go by a declared rule, and no query goes missing unseen."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score

from bench.metrics.ranking import KS, RANKING_METRICS, blocks, evaluate, metric_names, rank, rank_2d
from bench.metrics.ranking.metric import RankingMetrics

TREC_NAMES = {
    "recall": "recall",
    "hit_rate": "success",
    "ndcg": "ndcg_cut",
    "map": "map_cut",
    "precision": "P",
}
TREC_WHOLE = {"mrr": "recip_rank", "ndcg": "ndcg", "map": "map"}
EVERY_METRIC = tuple(RANKING_METRICS)


def random_lists(seed, queries=60, longest=150, levels=40, missing=False):
    """Return ragged lists with ties, grades and empty lists, as keywords of rank."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, longest, size=queries)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    total = int(offsets[-1])
    gains = rng.integers(1, 4, size=total) * (rng.random(total) < 0.2)
    lists = {
        "scores": rng.integers(0, levels, size=total) / 4,  # exact in single precision
        "relevances": gains,
        "offsets": offsets,
        "documents": np.concatenate([rng.permutation(length) + 100 for length in lengths]),
    }
    if missing:
        found = np.array([np.count_nonzero(part) for part in np.split(gains, offsets[1:-1])])
        lists["relevant_counts"] = found + rng.integers(0, 4, size=queries)
        lists["missing_gains"] = rng.integers(1, 4, size=int((lists["relevant_counts"] - found).sum()))
    return lists


def by_query_ids(lists):
    """Return the same candidates in another order, with a query id for each."""
    queries = len(lists["offsets"]) - 1
    ids = np.repeat(np.arange(queries), np.diff(lists["offsets"]))
    shuffled = np.random.default_rng(9).permutation(len(ids))
    rows = {name: lists[name][shuffled] for name in ("scores", "relevances", "documents")}
    others = {name: lists[name] for name in lists if name not in rows and name != "offsets"}
    return {**rows, **others, "query_ids": ids[shuffled], "queries": np.arange(queries)}, shuffled


def one(scores, relevances, **options):
    return rank(scores, relevances, offsets=[0, len(scores)], **options)


def value(name, ranked, k=None, **options):
    found = evaluate(ranked, [name], [k or 1], **options)
    return found.values[name if k is None else f"{name}@{k}"].tolist()


def assert_same(found, expected):
    assert found.values.keys() == expected.values.keys()
    for name, values in found.values.items():
        np.testing.assert_allclose(values, expected.values[name], rtol=0, atol=1e-12, err_msg=name)


# --- values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [False, True], ids=["all_retrieved", "some_missing"])
@pytest.mark.parametrize("seed", range(3))
def test_trec_eval_gives_the_same_values(seed, missing):
    pytrec_eval = pytest.importorskip("pytrec_eval", reason="needs pytrec_eval-terrier, of the extra dev")
    lists = random_lists(seed, missing=missing)
    found = evaluate(rank(**lists, ties="docid_desc"), without_relevant="zero")

    run, qrels, gains = {}, {}, iter(lists.get("missing_gains", []))
    for query, (begin, end) in enumerate(zip(lists["offsets"], lists["offsets"][1:], strict=False)):
        rows = slice(begin, end)
        documents = [f"d{document}" for document in lists["documents"][rows]]
        judged = dict(zip(documents, map(int, lists["relevances"][rows]), strict=True))
        if missing:
            hits = sum(gain > 0 for gain in judged.values())
            judged |= {f"missing{i}": int(next(gains)) for i in range(lists["relevant_counts"][query] - hits)}
        run[str(query)] = dict(zip(documents, lists["scores"][rows].tolist(), strict=True))
        qrels[str(query)] = judged
    measures = {f"{peer}.{','.join(map(str, KS))}" for peer in TREC_NAMES.values()}
    peer = pytrec_eval.RelevanceEvaluator(qrels, measures | set(TREC_WHOLE.values())).evaluate(run)

    names = {f"{ours}@{k}": f"{theirs}_{k}" for ours, theirs in TREC_NAMES.items() for k in KS}
    for ours, theirs in (names | TREC_WHOLE).items():
        expected = [peer.get(str(query), {}).get(theirs, 0.0) for query in found.queries]
        np.testing.assert_allclose(found.values[ours], expected, rtol=0, atol=1e-9, err_msg=ours)


@pytest.mark.parametrize("k", [1, 5, 20])
@pytest.mark.parametrize(("metric", "gain"), [("ndcg", lambda x: x), ("ndcg_exp", lambda x: 2.0**x - 1)])
def test_scikit_learn_gives_the_same_ndcg(metric, gain, k):
    rng = np.random.default_rng(1)
    scores, relevances = rng.normal(size=(30, 40)), rng.integers(0, 4, size=(30, 40))
    found = evaluate(rank_2d(scores, relevances), [metric], [k])
    expected = ndcg_score(gain(relevances), scores, k=k)
    assert found.means()[f"{metric}@{k}"] == pytest.approx(expected, abs=1e-12)


def test_scikit_learn_gives_the_same_average_precision():
    rng = np.random.default_rng(2)
    scores, relevances = rng.normal(size=(30, 40)), rng.random((30, 40)) < 0.2
    expected = [average_precision_score(*pair) for pair in zip(relevances, scores, strict=True)]
    np.testing.assert_allclose(value("map", rank_2d(scores, relevances)), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("metric", "k", "expected"),
    [
        # Relevant at ranks 2 and 4 of 5, and a third item was not retrieved.
        ("recall", 1, 0),
        ("recall", 4, 2 / 3),
        ("recall", 100, 2 / 3),
        ("hit_rate", 1, 0),
        ("hit_rate", 4, 1),
        ("mrr", 1, 0),
        ("mrr", 4, 1 / 2),
        ("mrr", None, 1 / 2),
        ("precision", 4, 2 / 4),
        ("precision", 100, 2 / 100),
        ("map", 1, 0),
        ("map", 4, (1 / 2 + 2 / 4) / 3),
        ("ndcg", 4, (1 / np.log2(3) + 1 / np.log2(5)) / (1 + 1 / np.log2(3) + 1 / np.log2(4))),
    ],
)
def test_values_are_those_worked_by_hand(metric, k, expected):
    ranked = one([5.0, 4, 3, 2, 1], [0, 1, 0, 1, 0], relevant_counts=[3])
    assert value(metric, ranked, k) == [pytest.approx(expected, abs=1e-15)]


def test_the_gains_of_missing_items_are_in_the_ideal_ranking():
    ranked = one([2.0, 1.0], [1, 0], relevant_counts=[2], missing_gains=[3])
    assert value("ndcg", ranked) == [pytest.approx(1 / (3 + 1 / np.log2(3)))]
    assert value("ndcg", ranked, 1) == [pytest.approx(1 / 3)]
    assert value("ndcg_exp", ranked, 1) == [pytest.approx(1 / 7)]


# --- forms of input ----------------------------------------------------------------------------------------------


def test_query_ids_in_any_order_are_the_same_as_lists_in_a_row():
    lists = random_lists(3, missing=True)
    shuffled, _ = by_query_ids(lists)
    assert_same(evaluate(rank(**shuffled), EVERY_METRIC), evaluate(rank(**lists), EVERY_METRIC))


def test_query_ids_that_are_texts_are_named_by_first_occurrence():
    ranked = rank([1.0, 2, 3, 4], [1, 1, 0, 0], query_ids=["b", "a", "b", "a"])
    assert ranked.queries.tolist() == ["b", "a"]
    assert ranked.offsets.tolist() == [0, 2, 4]
    assert ranked.order.tolist() == [2, 0, 3, 1]
    assert evaluate(ranked).queries.tolist() == ["b", "a"]


def test_padding_is_never_looked_at():
    lists = random_lists(4, queries=20, longest=30)
    lengths = np.diff(lists["offsets"])
    mask = np.arange(30) < lengths[:, None]
    scores, relevances = np.full(mask.shape, np.nan), np.full(mask.shape, -10)
    documents = np.zeros(mask.shape, int)
    scores[mask], relevances[mask], documents[mask] = (
        lists["scores"],
        lists["relevances"],
        lists["documents"],
    )
    padded = rank_2d(scores, relevances, mask=mask, documents=documents, ties="docid_desc")
    assert_same(evaluate(padded), evaluate(rank(**lists, ties="docid_desc")))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
def test_scores_of_any_type_are_ranked(dtype):
    ranked = one(np.array([1, 3, 2], dtype), np.array([False, False, True]))
    assert ranked.order.tolist() == [1, 2, 0]
    assert value("mrr", ranked) == [1 / 2]


def test_scores_are_compared_in_the_precision_they_have():
    close = np.array([1.0, 1.0 + 1e-12])
    assert value("mrr", one(close, [0, 1])) == [1.0]
    assert value("mrr", one(close.astype(np.float32), [0, 1])) == [0.5]


def test_a_cut_off_beyond_every_list_takes_the_whole_list():
    ranked = one([2.0, 1.0], [0, 1])
    assert value("recall", ranked, 10**9) == value("recall", ranked, 2) == [1.0]


@pytest.mark.parametrize("ties", ["pessimistic", "docid_desc", "stable"])
def test_lists_in_many_blocks_are_the_same_as_in_one(monkeypatch, ties):
    lists = random_lists(5, missing=True)
    whole = rank(**lists, ties=ties)
    values = evaluate(whole, EVERY_METRIC)
    monkeypatch.setattr(blocks, "_BLOCK_ENTRIES", 7)
    again = rank(**lists, ties=ties)
    assert again.order.tolist() == whole.order.tolist()
    assert again.tied.tolist() == whole.tied.tolist()
    assert_same(evaluate(again, EVERY_METRIC), values)


# --- ties --------------------------------------------------------------------------------------------------------


def test_a_constant_scorer_gets_the_worst_there_is():
    found = evaluate(rank_2d(np.zeros((2, 10)), np.eye(10)[:2]), ks=[1, 5, 10])
    assert found.values["mrr@10"].tolist() == [1 / 10, 1 / 10]
    assert found.values["recall@5"].tolist() == [0, 0]
    assert found.tied_candidates == found.n_candidates == 20
    assert "20 of 20 candidates tied, pessimistic" in found.note()


@pytest.mark.parametrize(
    ("ties", "order"),
    [("pessimistic", [4, 3, 1, 0, 2]), ("docid_desc", [4, 1, 0, 3, 2]), ("stable", [4, 0, 1, 3, 2])],
)
def test_equal_scores_go_by_the_declared_rule(ties, order):
    ranked = one([1.0, 1, 0, 1, 2], [2, 1, 0, 0, 0], documents=["d10", "d9", "d1", "d08", "d7"], ties=ties)
    assert ranked.order.tolist() == order
    assert ranked.tied.tolist() == [False, True, True, True, False]
    assert ranked.ties == ties


def test_ranks_are_those_of_the_input_rows():
    lists = random_lists(6)
    shuffled, permutation = by_query_ids(lists)
    ranks = rank(**lists, ties="docid_desc").ranks
    assert rank(**shuffled, ties="docid_desc").ranks.tolist() == ranks[permutation].tolist()
    assert one([1.0, 3, 2], [0, 0, 1]).ranks.tolist() == [3, 1, 2]


# --- queries that cannot be scored -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "names", "mrr"),
    [
        ({}, ["good", "unanswered"], [1, 0]),
        ({"without_candidates": "skip"}, ["good"], [1]),
        ({"without_relevant": "zero"}, ["good", "nothing right", "unanswered", "both"], [1, 0, 0, 0]),
        ({"without_relevant": "zero", "without_candidates": "skip"}, ["good", "nothing right", "both"], [1, 0, 0]),
    ],
)  # fmt: skip
def test_queries_that_cannot_be_scored_are_counted(options, names, mrr):
    ranked = rank(
        [2.0, 1, 5],
        [1, 0, 0],
        offsets=[0, 2, 3, 3, 3],
        queries=["good", "nothing right", "unanswered", "both"],
        relevant_counts=[1, 0, 4, 0],
    )
    found = evaluate(ranked, **options)
    assert found.queries.tolist() == names
    assert found.values["mrr@1"].tolist() == mrr
    assert found.means()["mrr@1"] == pytest.approx(sum(mrr) / len(mrr))
    assert (found.n, found.n_queries, found.excluded) == (len(names), 4, 4 - len(names))
    assert (found.without_relevant, found.without_candidates) == (2, 2)
    assert f"{len(names)} of 4 queries (2 without a relevant item, 2 without candidates)" in found.note()


def test_values_are_never_nan():
    for treatment in ("skip", "zero"):
        found = evaluate(rank(**random_lists(7)), EVERY_METRIC, without_relevant=treatment)
        for name, values in found.values.items():
            assert values.dtype == np.float64
            assert values.shape == (found.n,), name
            assert np.isfinite(values).all(), name


def test_the_ideal_rankings_of_queries_left_out_are_nobody_elses():
    ranked = rank([1.0, 2], [0, 2], offsets=[0, 0, 2], relevant_counts=[2, 1], missing_gains=[3, 3])
    assert value("ndcg", ranked, without_candidates="skip") == [1]
    assert value("ndcg", ranked) == [0, 1]


# --- properties --------------------------------------------------------------------------------------------------


@st.composite
def small_lists(draw):
    lengths = draw(st.lists(st.integers(0, 6), min_size=1, max_size=5).filter(any))
    total = sum(lengths)
    return {
        "scores": np.array(draw(st.lists(st.integers(0, 3), min_size=total, max_size=total)), float),
        "relevances": np.array(draw(st.lists(st.integers(0, 3), min_size=total, max_size=total))),
        "offsets": np.concatenate(([0], np.cumsum(lengths))),
        "documents": np.concatenate([np.arange(length) for length in lengths]).astype(int),
    }


@settings(max_examples=60, deadline=None)
@given(small_lists(), st.sampled_from(["pessimistic", "docid_desc"]))
def test_the_order_of_the_input_does_not_matter(lists, ties):
    shuffled, _ = by_query_ids(lists)
    options = {"ks": [1, 2, 5], "without_relevant": "zero"}
    assert_same(
        evaluate(rank(**shuffled, ties=ties), EVERY_METRIC, **options),
        evaluate(rank(**lists, ties=ties), EVERY_METRIC, **options),
    )


@settings(max_examples=60, deadline=None)
@given(small_lists())
def test_values_are_in_bounds_and_most_grow_with_k(lists):
    ks = [1, 2, 3, 10]
    values = evaluate(rank(**lists), EVERY_METRIC, ks, without_relevant="zero").values
    assert all(((table >= 0) & (table <= 1)).all() for table in values.values())
    for metric in ("recall", "hit_rate", "mrr", "map"):
        assert (np.diff([values[f"{metric}@{k}"] for k in ks], axis=0) >= 0).all(), metric


@settings(max_examples=60, deadline=None)
@given(small_lists())
def test_no_rule_for_ties_is_worse_than_the_pessimistic_one(lists):
    options = {"ks": [1, 2, 5], "without_relevant": "zero"}
    worst = evaluate(rank(**lists), EVERY_METRIC, **options).values
    for ties in ("docid_desc", "stable"):
        values = evaluate(rank(**lists, ties=ties), EVERY_METRIC, **options).values
        assert all((values[name] >= worst[name] - 1e-12).all() for name in worst)


@settings(max_examples=60, deadline=None)
@given(small_lists())
def test_ranking_by_relevance_is_ideal(lists):
    lists["scores"] = lists["relevances"].astype(float)
    found = evaluate(rank(**lists), ["ndcg", "ndcg_exp", "mrr", "map"], [1, 3], without_relevant="zero")
    has_relevant = np.array([part.any() for part in np.split(lists["relevances"], lists["offsets"][1:-1])])
    for name in ("ndcg", "ndcg@3", "ndcg_exp", "ndcg_exp@1", "mrr", "map"):
        assert found.values[name].tolist() == has_relevant.astype(float).tolist(), name


# --- faults ------------------------------------------------------------------------------------------------------

GOOD = {"scores": [3.0, 2, 1], "relevances": [1, 0, 1], "offsets": [0, 2, 3], "queries": ["a", "b"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": [3.0, 2, np.nan]}, r"score of nan in query 'b' \(1 such rows.*expected a finite one"),
        ({"scores": [np.inf, 2, 1]}, r"score of inf in query 'a'"),
        ({"scores": [3.0, -np.inf, np.nan]}, r"score of -inf in query 'a' \(2 such"),
        ({"relevances": [1, 0, -1]}, r"relevance of -1 in query 'b'.*expected a finite one of 0 or more"),
        ({"relevances": [1, np.nan, 1]}, r"relevance of nan in query 'a'"),
        ({"relevances": [1, 0]}, r"found 2 relevances and 3 scores, expected equal numbers"),
        ({"documents": [1, 2]}, r"found 2 documents and 3 scores"),
        ({"documents": ["x", "x", "x"]}, r"document 'x' twice in query 'a'.*drop one"),
        ({"documents": [7, 7, 7]}, r"document 7 twice in query 'a'"),
        ({"documents": ["x", None, "y"]}, r"documents of the types NoneType, str.*look for missing"),
        ({"documents": np.array([0.5, 1, 2])}, r"documents of shape \(3,\) and type float64"),
        ({"scores": [], "relevances": []}, r"found no candidates, expected at least one"),
        ({"scores": ["3", "2", "1"]}, r"found scores of shape \(3,\) and type <U1, expected numbers"),
        ({"scores": [[3.0, 2, 1]]}, r"found scores of shape \(1, 3\).*goes to rank_2d"),
        ({"offsets": None}, r"found neither of offsets and query_ids, expected exactly one"),
        ({"query_ids": ["a", "a", "b"]}, r"found both of offsets and query_ids"),
        ({"offsets": [0, 2, 4]}, r"offsets from 0 to 4, expected from 0 to 3"),
        ({"offsets": [0, 4, 3]}, r"offsets 4, 3 around query 'b', expected them to ascend"),
        ({"offsets": [0.0, 2, 3]}, r"offsets of shape \(3,\) and type float64, expected integers"),
        ({"offsets": [0, 3]}, r"found 2 names of queries and 1 lists"),
        ({"queries": ["a", "a"]}, r"query 'a' twice in queries"),
        ({"ties": "optimistic"}, r"tie rule 'optimistic', expected one of pessimistic, docid_desc, stable"),
        ({"ties": "docid_desc"}, r"found no documents, expected their ids"),
        ({"relevant_counts": [1]}, r"found 1 relevant_counts and 2 queries"),
        ({"relevant_counts": [1, 0]}, r"found 1 relevant candidates of query 'b', expected at most.* 0;"),
        ({"relevant_counts": [1.5, 1]}, r"relevant_counts of shape \(2,\) and type float64, expected int"),
        ({"missing_gains": [1]}, r"missing_gains without relevant_counts, expected both"),
        ({"relevant_counts": [2, 1], "missing_gains": [1, 2]}, r"found 2 missing_gains and 1 relevant items"),
        ({"relevant_counts": [1, 2], "missing_gains": [0]}, r"missing gain of 0 in query 'b'.*above 0"),
    ],
)  # fmt: skip
def test_candidates_that_cannot_be_ranked_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        rank(**(GOOD | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"queries": ["a"]}, r"candidate of query 'b', expected one of the 1 names in queries"),
        ({"queries": [1, 2]}, r"query ids that are texts and names of queries that are integers.*same kind"),
        ({"query_ids": ["a", "b"]}, r"found 2 query ids and 3 scores"),
        ({"scores": [1.0, np.nan, 2]}, r"score of nan in query 'b'"),
        ({"documents": ["x", "y", "x"]}, r"document 'x' twice in query 'a'"),
    ],
)
def test_query_ids_that_fit_nothing_are_refused(change, message):
    good = {"scores": [3.0, 2, 1], "relevances": [1, 0, 1], "query_ids": ["a", "b", "a"]}
    with pytest.raises(ValueError, match=message):
        rank(**(good | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": [1.0, 2]}, r"scores of shape \(2,\), expected \(queries, candidates\)"),
        ({"relevances": [[1, 0, 0]]}, r"relevances of shape \(1, 3\), expected that of the scores, \(1, 2\)"),
        ({"mask": [[1, 0]]}, r"mask of int64, expected booleans"),
        ({"mask": [[True]]}, r"mask of shape \(1, 1\), expected that of the scores"),
        ({"mask": [[False, False]]}, r"found no candidates"),
    ],
)
def test_rows_that_cannot_be_ranked_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        rank_2d(**({"scores": [[2.0, 1.0]], "relevances": [[1, 0]]} | change))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ks": [0]}, r"cut-off k of 0, expected a whole number of at least 1"),
        ({"ks": [1.5]}, r"cut-off k of 1.5"),
        ({"ks": [True]}, r"cut-off k of True"),
        ({"ks": []}, r"cut-offs \(\), expected at least one and each once"),
        ({"ks": [5, 5]}, r"cut-offs \(5, 5\)"),
        ({"without_relevant": "drop"}, r"without_relevant='drop', expected 'skip' or 'zero'"),
        ({"without_candidates": "drop"}, r"without_candidates='drop'"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        evaluate(rank(**GOOD), **options)


def test_an_unknown_metric_is_answered_with_the_nearest_names():
    with pytest.raises(KeyError, match=r"no ranking metric is named 'recal'; nearest: recall"):
        evaluate(rank(**GOOD), ["recal"])


def test_no_query_with_a_relevant_item_is_no_score():
    with pytest.raises(ValueError, match=r"found 1 queries, 1 of them without a relevant item.*are joined"):
        evaluate(one([1.0, 2.0], [0, 0]))


def test_ndcg_does_not_guess_the_gains_of_missing_items():
    ranked = one([1.0, 2.0], [3, 0], relevant_counts=[2])
    with pytest.raises(
        ValueError, match=r"found 1 relevant items that are no candidates.*give missing_gains"
    ):
        evaluate(ranked)
    assert value("recall", ranked, 5) == [1 / 2]


def test_an_exponential_gain_beyond_all_bounds_is_refused():
    with pytest.raises(ValueError, match=r"relevance of 1000, expected at most 500 for ndcg_exp"):
        value("ndcg_exp", one([1.0, 2.0], [1000, 0]))


# --- metrics of users --------------------------------------------------------------------------------------------


@pytest.fixture
def registry(monkeypatch):
    """A registry with the metrics that ship, in which a test may register more."""
    from bench.metrics.ranking import at_k

    own = RankingMetrics("ranking metric")
    for name, metric in RANKING_METRICS.items():
        own.add(name, metric)
    monkeypatch.setattr(at_k, "RANKING_METRICS", own)
    return own


@pytest.mark.parametrize("whole_list", [False, True])
def test_one_function_of_a_users_is_a_metric_at_every_cut_off(registry, whole_list):
    @registry.register("miss_rate", whole_list=whole_list)
    def miss_rate(hits):
        return hits.counts == 0

    ranked = rank(**random_lists(3))
    found = evaluate(ranked, ["hit_rate", "miss_rate"], [1, 5]).values
    assert list(found) == [*metric_names(["hit_rate", "miss_rate"], [1, 5])]
    assert ("miss_rate" in found) == whole_list
    for k in (1, 5):
        assert found[f"miss_rate@{k}"].dtype == np.float64
        assert found[f"miss_rate@{k}"].tolist() == (1 - found[f"hit_rate@{k}"]).tolist()
    if whole_list:
        assert (found["miss_rate"] <= found["miss_rate@5"]).all()


def test_names_are_those_of_all_values_in_their_order(registry):
    assert set(metric_names(ks=[3])) - {f"{name}@3" for name in EVERY_METRIC} == {
        "mrr",
        "map",
        "ndcg",
        "ndcg_exp",
    }
    assert metric_names() == tuple(evaluate(rank(**GOOD), EVERY_METRIC).values)
    registry.register("own")(lambda hits: hits.counts)
    assert metric_names()[-len(KS) :] == tuple(f"own@{k}" for k in KS)
    with pytest.raises(KeyError, match="nearest: recall"):
        metric_names(["recal"])


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda hits: hits.counts[:, 0],
            r"found values of shape \(2,\) from ranking metric 'own', expected.*\(2, 8\)",
        ),
        (lambda _hits: 1.0, r"found values of shape \(\) from ranking metric 'own'"),
        (lambda hits: hits.counts * np.nan, r"from ranking metric 'own', not all of them finite"),
    ],
)
def test_values_of_another_shape_or_none_at_all_are_refused_with_the_metrics_name(
    registry, function, message
):
    registry.register("own")(function)
    with pytest.raises(ValueError, match=message):
        evaluate(rank(**GOOD), ["own"])


def test_a_name_has_no_cut_off_and_is_taken_once(registry):
    with pytest.raises(
        ValueError, match="found the name 'own@5' of a ranking metric, expected one without @"
    ):
        registry.register("own@5")
    with pytest.raises(
        ValueError, match=r"ranking metric 'mrr' is registered twice: .* and in .*test_ranking\.py"
    ):
        registry.register("mrr")(lambda hits: hits.counts)


def test_torch_is_not_needed():
    code = (
        "import sys; from bench.metrics import ranking, regression; from bench.metrics.ranking import trec; "
        "print({'torch', 'scipy'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
