"""Shards: how a dataset is split among workers, and which shard finishes last."""

from __future__ import annotations

import fcntl
from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path

from bench.language.case import LanguageCase

# A shard costs at most this, and at most a fourth of a worker's part of the run: the worker that finishes last then keeps
# the others waiting for at most a fourth of their time. Cases are named after their shards, so the number of workers
# counts as at least four: a run has the same cases with -n 4, with -n 2 and in one process.
_LARGEST_SHARD = 20_000
_SHARDS_OF_WORKER = 4
_LEAST_WORKERS = 4
# A smaller shard costs more to begin than it saves in waiting.
_SMALLEST_SHARD = 5_000


def split(cases: Sequence[LanguageCase], workers: int, largest: float | None = None) -> list[LanguageCase]:
    """Return the shards of cases, in the order of the cases.

    Args:
        cases: of whole datasets.
        workers: processes that run cases.
        largest: cost above which a case is split; None is decided by the cost of the whole run.
    """
    largest = largest or _largest_shard(cases, workers)
    return [shard for case in cases for shard in _shards(case, largest)]


def shard_spans(rows: int, shards: int) -> Sequence[tuple[int, int]]:
    """Return spans of rows of nearly equal length."""
    return [(rows * index // shards, rows * (index + 1) // shards) for index in range(shards)]


def is_last(case: LanguageCase, scratch: Path) -> bool:
    """Note that a shard has its predictions, and return whether all other shards have theirs; called once a shard.

    Args:
        case: the shard.
        scratch: folder that the workers of a run share.
    """
    folder = scratch / "shards" / case.model
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{case.stem}.done", "a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(f"{case.shard}\n")
        file.flush()
        file.seek(0)
        return len(set(file.read().split())) == case.shards


def _largest_shard(cases: Sequence[LanguageCase], workers: int) -> float:
    total = sum(case.cost for case in cases)
    part = total / (_SHARDS_OF_WORKER * max(workers, _LEAST_WORKERS))
    return min(_LARGEST_SHARD, max(_SMALLEST_SHARD, part))


def _shards(case: LanguageCase, largest: float) -> list[LanguageCase]:
    """Return the shards of a case; a case that is not split ends where the dataset does."""
    count = case.rows[1]
    shards = 1 if count is None else min(ceil(case.cost / largest), count)
    if count is None or shards <= 1:
        return [replace(case, rows=(0, None))]
    return [
        replace(
            case, id=f"{case.id}-{index}of{shards}", rows=span, shard=index, shards=shards, cost=case.cost / shards
        )
        for index, span in enumerate(shard_spans(count, shards), 1)
    ]  # fmt: skip
