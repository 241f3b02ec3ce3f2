"""Ranking metrics beside pytrec_eval-terrier, and on ten million candidates.

Needs the extra ``benchmark`` (``pip install -e '.[benchmark]'``). Both get the same float32 scores and graded
relevances, and both start from arrays: pytrec_eval-terrier's dictionaries are built within its time, from
document names that are there already. They run in turns, and a ratio is taken within a round. Ten million
candidates are ranked in processes of their own, whose peak memory counts imports, input and results.

    python benchmarks/ranking.py [--repeats 5] [--queries 2000] [--candidates 500] [--millions 10]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from typing import Any

import numpy as np
from suite import ROOT

sys.path.insert(0, str(ROOT))

from bench.metrics import ranking

# trec_eval's name of each metric; it has no MRR with a cut-off.
AT_K = {"recall": "recall", "hit_rate": "success", "ndcg": "ndcg_cut", "map": "map_cut", "precision": "P"}
WHOLE = {"mrr": "recip_rank", "ndcg": "ndcg", "map": "map"}
SETS = {
    "recall and MRR": (("recall", "mrr"), (1, 5, 10, 100)),
    "six metrics": (ranking.DEFAULT_METRICS, ranking.KS),
}
LARGE = {
    "lists in a row": "offsets",
    "lists in a row, every score the same": "tied",
    "rows in any order, with query ids": "ids",
}


def run_terrier(
    scores: np.ndarray, relevances: np.ndarray, names: list[str], measures: set[str]
) -> tuple[float, float, dict]:
    """Return seconds for its dictionaries, seconds for its evaluation, and values by query and measure."""
    from pytrec_eval import RelevanceEvaluator  # noqa: PLC0415

    begin = time.perf_counter()
    run = {str(query): dict(zip(names, row.tolist(), strict=True)) for query, row in enumerate(scores)}
    qrels = {
        str(query): {names[column]: int(row[column]) for column in np.flatnonzero(row)}
        for query, row in enumerate(relevances)
    }
    built = time.perf_counter()
    values = RelevanceEvaluator(qrels, measures).evaluate(run)
    return built - begin, time.perf_counter() - built, values


def run_ours(
    scores: np.ndarray, relevances: np.ndarray, metrics: tuple[str, ...], ks: tuple[int, ...], **ties: Any
) -> tuple[float, ranking.RankingScores]:
    """Return seconds and values."""
    begin = time.perf_counter()
    found = ranking.evaluate(
        ranking.rank_2d(scores, relevances, **ties), metrics, ks, without_relevant="zero"
    )
    return time.perf_counter() - begin, found


def peers(metrics: tuple[str, ...], ks: tuple[int, ...]) -> dict[str, str]:
    """Return trec_eval's name of each of our values that it has too."""
    at_k = {f"{name}@{k}": f"{AT_K[name]}_{k}" for name in metrics if name in AT_K for k in ks}
    return at_k | {name: WHOLE[name] for name in metrics if name in WHOLE}


def beside_terrier(queries: int, candidates: int, repeats: int) -> None:
    """Measure both in turns on lists of one length; print medians, ratios and the greatest difference."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(queries, candidates)).astype(np.float32)
    relevances = rng.integers(1, 4, size=scores.shape) * (rng.random(scores.shape) < 0.02)
    names = [f"d{column:06}" for column in range(candidates)]
    # Numbers in the order of the names: either orders equal scores the same way.
    documents = np.broadcast_to(np.arange(candidates), scores.shape)
    print(
        f"{queries} queries x {candidates} candidates, medians of {repeats} rounds, "
        f"pytrec_eval-terrier {version('pytrec_eval-terrier')}"
    )
    print(
        f"{'':34}{'dicts s':>9}{'terrier s':>10}{'ours s':>9}"
        f"{'ratio':>8}{'least':>8}{'most':>8}{'max |d|':>10}"
    )
    for title, (metrics, ks) in SETS.items():
        matches = peers(metrics, ks)
        measures = {f"{AT_K[name]}.{','.join(map(str, ks))}" for name in metrics if name in AT_K}
        measures |= {WHOLE[name] for name in metrics if name in WHOLE}
        for rule, ties in {
            "docid_desc": {"ties": "docid_desc", "documents": documents},
            "pessimistic, no ids": {},
        }.items():
            rounds, difference = [], 0.0
            for turn in range(repeats):
                if turn % 2:
                    ours, found = run_ours(scores, relevances, metrics, ks, **ties)
                built, evaluated, peer = run_terrier(scores, relevances, names, measures)
                if not turn % 2:
                    ours, found = run_ours(scores, relevances, metrics, ks, **ties)
                rounds.append((built, evaluated, ours, (built + evaluated) / ours))
                for name, peer_name in matches.items():
                    # What terrier leaves out has no judgement, and all its values are 0.
                    expected = [peer.get(str(query), {}).get(peer_name, 0.0) for query in range(queries)]
                    difference = max(difference, float(np.abs(found.values[name] - expected).max()))
            built, evaluated, ours, ratio = (
                statistics.median(column) for column in zip(*rounds, strict=True)
            )
            ratios = [row[3] for row in rounds]
            print(
                f"{f'{title}, {rule}':34}{built:9.3f}{evaluated:10.3f}{ours:9.3f}"
                f"{ratio:8.1f}{min(ratios):8.1f}{max(ratios):8.1f}{difference:10.1e}"
            )


def large(kind: str, millions: int) -> dict:
    """Rank millions of candidates in lists of 0 to a few thousand; return seconds and bytes of memory."""
    rng = np.random.default_rng(0)
    total = millions * 1_000_000
    lengths = rng.geometric(1 / 500, size=total // 500) - 1
    offsets = np.minimum(np.concatenate(([0], np.cumsum(lengths))), total)
    offsets[-1] = total
    scores = np.zeros(total) if kind == "tied" else rng.normal(size=total)
    relevances = (rng.random(total, dtype=np.float32) < 0.02).astype(np.int8)
    where: dict[str, Any] = {"offsets": offsets}
    if kind == "ids":
        query_ids = np.repeat(np.arange(len(lengths)), np.diff(offsets))
        rng.shuffle(query_ids)
        where = {"query_ids": query_ids, "queries": np.arange(len(lengths))}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    begin = time.perf_counter()
    ranked = ranking.rank(scores, relevances, documents=np.arange(total), **where)
    sorted_at = time.perf_counter()
    found = ranking.evaluate(ranked)
    end = time.perf_counter()
    return {
        "rank_s": sorted_at - begin,
        "evaluate_s": end - sorted_at,
        "before_bytes": before,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "note": found.note(),
    }


def many_candidates(millions: int) -> None:
    """Measure every kind of large input in a process of its own."""
    print(
        f"\n{millions} million candidates, document ids checked for duplicates, six metrics at "
        f"{len(ranking.KS)} k"
    )
    print(f"{'':42}{'rank s':>8}{'evaluate s':>12}{'total s':>9}{'peak GB':>9}{'of it before':>14}")
    for title, kind in LARGE.items():
        command = [sys.executable, __file__, "--millions", str(millions), "--one", kind]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        print(
            f"{title:42}{found['rank_s']:8.2f}{found['evaluate_s']:12.2f}"
            f"{found['rank_s'] + found['evaluate_s']:9.2f}{found['peak_bytes'] / 1e9:9.2f}"
            f"{found['before_bytes'] / 1e9:14.2f}"
        )
        print(f"    {found['note']}")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--candidates", type=int, default=500)
    parser.add_argument("--millions", type=int, default=10)
    parser.add_argument("--one", choices=LARGE.values(), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(large(options.one, options.millions)))
        return
    beside_terrier(options.queries, options.candidates, options.repeats)
    many_candidates(options.millions)


if __name__ == "__main__":
    main()
