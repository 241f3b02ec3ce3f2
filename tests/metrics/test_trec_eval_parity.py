"""Hundreds of random runs with ties have trec_eval's values, one by one."""

from __future__ import annotations

import numpy as np
import pytest

from bench.metrics import ranking
from bench.metrics.ranking.trec import flatten

RUNS, KS = 400, (1, 2, 3, 5, 10, 1000)
AT_K = {
    "recall": "recall",
    "hit_rate": "success",
    "ndcg": "ndcg_cut",
    "map": "map_cut",
    "precision": "P",
}
WHOLE = {"mrr": "recip_rank", "ndcg": "ndcg", "map": "map"}
NAMES = {f"{ours}@{k}": f"{theirs}_{k}" for ours, theirs in AT_K.items() for k in KS} | WHOLE
MEASURES = {f"{theirs}.{','.join(map(str, KS))}" for theirs in AT_K.values()} | set(WHOLE.values())
# Names of other lengths and scripts: d9 comes after d10, and what follows is ordered by code point.
DOCUMENTS = ["d9", "d10", "d1", "D1", "é", "z", "文書", "\U0001f600", "~", "d" * 300, "d 1", "0", "00"]


def random_run(seed: int):
    """Return a run and its qrels: ties, scores that single precision cannot tell apart or hold, grades of every sign."""
    rng = np.random.default_rng(seed)
    levels = [
        rng.integers(0, 3, 40).astype(float),
        0.3 + rng.integers(0, 4, 40) * 1e-9,
        rng.integers(-2, 3, 40) * 1e-46,
        rng.choice([1e39, -1e39, 3e38, 1e300, 0.0, -0.0], 40),
        rng.normal(size=40),
    ][seed % 5]
    run, qrels = {}, {}
    for query in range(4):
        returned = rng.choice(len(DOCUMENTS), rng.integers(1, len(DOCUMENTS) + 1), replace=False)
        run[f"q{query}"] = {DOCUMENTS[place]: float(rng.choice(levels)) for place in returned}
        judged = rng.choice(len(DOCUMENTS), rng.integers(1, 8), replace=False)
        grades = rng.integers(-3, 4, len(judged))
        grades[0] = abs(
            grades[0]
        )  # where the greatest grade of a query is under -1, the peer writes out of bounds
        qrels[f"q{query}"] = {
            DOCUMENTS[place]: int(grade) for place, grade in zip(judged, grades, strict=True)
        }
    qrels["only judged"], run["only returned"] = {"d1": 1}, {"d1": 1.0}
    return run, qrels


def test_every_value_of_hundreds_of_random_runs_is_that_of_trec_eval():
    pytrec_eval = pytest.importorskip("pytrec_eval", reason="needs pytrec_eval-terrier, of the extra dev")
    tied = 0
    for seed in range(RUNS):
        run, qrels = random_run(seed)
        peer = pytrec_eval.RelevanceEvaluator(qrels, MEASURES).evaluate(run)
        flat = flatten(run, qrels, negative="zero")
        ranked = ranking.rank(**vars(flat), ties="docid_desc")
        found = ranking.evaluate(ranked, (*AT_K, "mrr"), KS, without_relevant="zero")
        tied += found.tied_candidates
        rows = {query: place for place, query in enumerate(found.queries.tolist())}
        assert set(peer) == set(rows) - {"only judged", "only returned"}
        for query, values in peer.items():
            expected = [values[theirs] for theirs in NAMES.values()]
            of_query = [found.values[ours][rows[query]] for ours in NAMES]
            np.testing.assert_allclose(
                of_query, expected, rtol=0, atol=1e-12, err_msg=f"seed {seed}, {query}"
            )
        assert (found.without_candidates, found.values["mrr"][rows["only returned"]]) == (1, 0)
    assert tied > 5_000


@pytest.mark.parametrize("ties", ["pessimistic", "docid_desc", "stable"])
def test_scores_in_single_precision_are_ordered_as_in_double(ties):
    """Single precision has an order of its own making; negative zeros, ties and padding are in these lists."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(0, 90, 200)
    n = int(lengths.sum())
    scores = np.where(rng.random(n) < 0.5, rng.integers(-2, 3, n) * 0.5, rng.normal(size=n) * 1e30)
    scores = np.where(rng.random(n) < 0.1, -0.0, scores).astype(np.float32)
    given = {
        "relevances": rng.integers(0, 3, n),
        "offsets": np.concatenate(([0], np.cumsum(lengths))),
        "documents": rng.permutation(n),
        "ties": ties,
    }
    single, double = (ranking.rank(scores.astype(kind), **given) for kind in (np.float32, np.float64))
    assert single.order.tolist() == double.order.tolist()
    assert single.tied.tolist() == double.tied.tolist()
    assert 0 < single.tied.sum() < n


def test_scores_closer_than_single_precision_are_ties_as_in_trec_eval():
    run = {"t1": {"a": 0.30000000100, "b": 0.30000000099}, "t2": {"c": 0.9, "d": 0.1}}
    flat = flatten(run, {"t1": {"a": 1}, "t2": {"c": 1}})
    found = {
        ties: ranking.evaluate(ranking.rank(**vars(flat), ties=ties)) for ties in ("docid_desc", "stable")
    }
    assert found["docid_desc"].means()["mrr@10"] == 0.75
    assert found["docid_desc"].tied_candidates == 2
    assert found["stable"].means()["mrr@10"] == 1.0
