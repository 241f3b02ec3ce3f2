"""Ranking metrics: speed compared with pytrec_eval-terrier, and speed and memory on ten million candidates.

    python benchmarks/ranking.py [--repeats 5] [--queries 2000] [--candidates 500] [--millions 10]

Needs pytrec_eval-terrier, which the extra ``dev`` installs. Both get the same float32 scores and graded relevances, as
arrays, and the names of the documents. The time in which pytrec_eval-terrier's dictionaries are built counts as its own.
Both run in every round, in alternating order, and a ratio is taken within a round. Ten million candidates are ranked in
processes of their own, whose peak memory includes imports, input and results. In one of them documents have names of very
different lengths, which are kept as texts and not in an array as wide as the longest.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from suite import ROOT

from bench.metrics import ranking

RELEVANT_SHARE = 0.02
MEAN_LENGTH = 500  # of the lists in the large input
LONG_NAME, LONG_EVERY = (
    3000,
    100_000,
)  # letters of a long name of a document, and how many have a short one for each of them

# trec_eval's name of each metric; it has no MRR with a cut-off.
AT_K = {"recall": "recall", "hit_rate": "success", "ndcg": "ndcg_cut", "map": "map_cut", "precision": "P"}
WHOLE = {"mrr": "recip_rank", "ndcg": "ndcg", "map": "map"}
SETS = {
    "recall and MRR": (("recall", "mrr"), (1, 5, 10, 100)),
    "six metrics": (ranking.DEFAULT_METRICS, ranking.KS),
}
Shape = Literal["offsets", "tied", "ids", "texts"]
LARGE: dict[str, Shape] = {
    "lists in a row": "offsets",
    "lists in a row, every score the same": "tied",
    "rows in any order, with query ids": "ids",
    "lists in a row, names of 2 to 3,000": "texts",
}

PeerValues = dict[str, dict[str, float]]
"""Values by query and measure."""


@dataclass(frozen=True)
class Input:
    """Lists of one length: scores and relevances, (queries, candidates), and the names of the documents."""

    scores: NDArray[np.float32]
    relevances: NDArray[np.int64]
    names: list[str]


@dataclass(frozen=True)
class Round:
    """Seconds of one round: the peer's dictionaries, its evaluation, and ours."""

    built_s: float
    peer_s: float
    ours_s: float

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return (self.built_s + self.peer_s) / self.ours_s


class LargeResult(msgspec.Struct):
    """What ranking millions of candidates takes."""

    rank_s: float
    evaluate_s: float
    before_bytes: int
    peak_bytes: int
    note: str


def make_input(queries: int, candidates: int) -> Input:
    """Draw scores and graded relevances."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(queries, candidates)).astype(np.float32)
    relevances = rng.integers(1, 4, size=scores.shape) * (rng.random(scores.shape) < RELEVANT_SHARE)
    return Input(scores, relevances, [f"d{column:06}" for column in range(candidates)])


def run_peer(data: Input, measures: set[str]) -> tuple[float, float, PeerValues]:
    """Return the seconds for the dictionaries, the seconds for the evaluation, and the values."""
    from pytrec_eval import RelevanceEvaluator  # noqa: PLC0415

    begin = time.perf_counter()
    run = {
        str(query): dict(zip(data.names, row.tolist(), strict=True)) for query, row in enumerate(data.scores)
    }
    qrels = {
        str(query): {data.names[column]: int(row[column]) for column in np.flatnonzero(row)}
        for query, row in enumerate(data.relevances)
    }
    built = time.perf_counter()
    values: PeerValues = RelevanceEvaluator(qrels, measures).evaluate(run)
    return built - begin, time.perf_counter() - built, values


def peer_names(metrics: tuple[str, ...], ks: tuple[int, ...]) -> dict[str, str]:
    """Return trec_eval's name of each of our values that it has too."""
    at_k = {f"{name}@{k}": f"{AT_K[name]}_{k}" for name in metrics if name in AT_K for k in ks}
    return at_k | {name: WHOLE[name] for name in metrics if name in WHOLE}


def measures_of(metrics: tuple[str, ...], ks: tuple[int, ...]) -> set[str]:
    """Return what trec_eval is asked for."""
    at_k = {f"{AT_K[name]}.{','.join(map(str, ks))}" for name in metrics if name in AT_K}
    return at_k | {WHOLE[name] for name in metrics if name in WHOLE}


def greatest_difference(found: ranking.RankingScores, peer: PeerValues, names: dict[str, str]) -> float:
    """Return the greatest difference between our values and the peer's."""
    difference = 0.0
    for name, peer_name in names.items():
        # The peer leaves out queries without a judgement; all their values are 0.
        expected = [peer.get(str(query), {}).get(peer_name, 0.0) for query in range(found.n_queries)]
        difference = max(difference, float(np.abs(found.values[name] - expected).max()))
    return difference


def print_comparison(queries: int, candidates: int, repeats: int) -> None:
    """Measure both alternately on lists of one length; print medians, ratios and the greatest difference."""
    data = make_input(queries, candidates)
    # Numbers in the order of the names, so that both order equal scores the same way.
    documents = np.broadcast_to(np.arange(candidates), data.scores.shape)
    rules: dict[str, Callable[[], ranking.Ranked]] = {
        "docid_desc": lambda: ranking.rank_2d(
            data.scores, data.relevances, ties="docid_desc", documents=documents
        ),
        "pessimistic, no ids": lambda: ranking.rank_2d(data.scores, data.relevances),
    }
    print(
        f"{queries} queries x {candidates} candidates, medians of {repeats} rounds, "
        f"pytrec_eval-terrier {version('pytrec_eval-terrier')}"
    )
    print(
        f"{'':34}{'dicts s':>9}{'terrier s':>10}{'ours s':>9}"
        f"{'ratio':>8}{'least':>8}{'most':>8}{'max |d|':>10}"
    )
    for title, (metrics, ks) in SETS.items():
        for rule, rank in rules.items():
            rounds, difference = compare(data, rank, metrics, ks, repeats)
            ratios = [one.ratio for one in rounds]
            print(
                f"{f'{title}, {rule}':34}{statistics.median(one.built_s for one in rounds):9.3f}"
                f"{statistics.median(one.peer_s for one in rounds):10.3f}"
                f"{statistics.median(one.ours_s for one in rounds):9.3f}{statistics.median(ratios):8.1f}"
                f"{min(ratios):8.1f}{max(ratios):8.1f}{difference:10.1e}",
                flush=True,
            )


def compare(
    data: Input,
    rank: Callable[[], ranking.Ranked],
    metrics: tuple[str, ...],
    ks: tuple[int, ...],
    repeats: int,
) -> tuple[list[Round], float]:
    """Return the times of all rounds, and the greatest difference of values."""
    names, measures = peer_names(metrics, ks), measures_of(metrics, ks)

    def run_ours() -> tuple[float, ranking.RankingScores]:
        begin = time.perf_counter()
        scores = ranking.evaluate(rank(), metrics, ks, without_relevant="zero")
        return time.perf_counter() - begin, scores

    rounds, difference = [], 0.0
    for number in range(repeats):
        if number % 2:
            ours_s, found = run_ours()
            built_s, peer_s, peer = run_peer(data, measures)
        else:
            built_s, peer_s, peer = run_peer(data, measures)
            ours_s, found = run_ours()
        rounds.append(Round(built_s, peer_s, ours_s))
        difference = max(difference, greatest_difference(found, peer, names))
    return rounds, difference


def rank_large(shape: Shape, total: int) -> LargeResult:
    """Rank many candidates in lists of 0 to a few thousand."""
    rng = np.random.default_rng(0)
    lengths = rng.geometric(1 / MEAN_LENGTH, size=max(1, total // MEAN_LENGTH)) - 1
    offsets = np.minimum(np.concatenate(([0], np.cumsum(lengths))), total)
    offsets[-1] = total
    scores = np.zeros(total) if shape == "tied" else rng.normal(size=total)
    relevances = (rng.random(total, dtype=np.float32) < RELEVANT_SHARE).astype(np.int8)
    where: dict[str, Any] = {"offsets": offsets}
    if shape == "ids":
        query_ids = np.repeat(np.arange(len(lengths)), np.diff(offsets))
        rng.shuffle(query_ids)
        where = {"query_ids": query_ids, "queries": np.arange(len(lengths))}
    documents: Any = np.arange(total)
    if shape == "texts":
        documents = [
            f"d{number}" if number % LONG_EVERY else f"{number}".zfill(LONG_NAME) for number in range(total)
        ]
        where["ties"] = "docid_desc"
    before = peak_bytes()
    begin = time.perf_counter()
    ranked = ranking.rank(scores, relevances, documents=documents, **where)
    ranked_at = time.perf_counter()
    found = ranking.evaluate(ranked)
    end = time.perf_counter()
    return LargeResult(
        rank_s=ranked_at - begin,
        evaluate_s=end - ranked_at,
        before_bytes=before,
        peak_bytes=peak_bytes(),
        note=found.note(),
    )


def peak_bytes() -> int:
    """Return the peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def print_large(millions: float) -> None:
    """Measure each shape of large input in a process of its own."""
    print(
        f"\n{millions:g} million candidates, document ids checked for duplicates, six metrics at "
        f"{len(ranking.KS)} k"
    )
    print(f"{'':42}{'rank s':>8}{'evaluate s':>12}{'total s':>9}{'peak GB':>9}{'of it before':>14}")
    for title, shape in LARGE.items():
        command = [sys.executable, __file__, "--millions", str(millions), "--one", shape]
        output = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
        found = msgspec.json.decode(output, type=LargeResult)
        print(
            f"{title:42}{found.rank_s:8.2f}{found.evaluate_s:12.2f}{found.rank_s + found.evaluate_s:9.2f}"
            f"{found.peak_bytes / 1e9:9.2f}{found.before_bytes / 1e9:14.2f}"
        )
        print(f"    {found.note}", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--queries", type=int, default=2000, help="lists of the comparison (default 2000)")
    parser.add_argument("--candidates", type=int, default=500, help="candidates of each list (default 500)")
    parser.add_argument(
        "--millions", type=float, default=10, help="millions of candidates of the large input (default 10)"
    )
    parser.add_argument("--one", choices=LARGE.values(), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(msgspec.json.encode(rank_large(options.one, int(options.millions * 1_000_000))).decode())
        return
    print_comparison(options.queries, options.candidates, options.repeats)
    print_large(options.millions)


if __name__ == "__main__":
    main()
