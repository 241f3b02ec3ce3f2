"""Which shards of a dataset are missing among records of several runs."""

from __future__ import annotations

from collections.abc import Sequence

from bench.core.record import Record


def missing_shards(records: Sequence[Record]) -> list[str]:
    """Return a sentence for each model and dataset that lacks a shard, or the score of the whole."""
    found: dict[tuple[str, str, int], list[Record]] = {}
    for record in records:
        if record.body.shard.of > 1:
            found.setdefault((record.body.model, record.body.dataset, record.body.shard.of), []).append(
                record
            )
    gaps = []
    for (model, dataset, count), shards in found.items():
        there = {record.body.shard.index for record in shards}
        missing = [str(index) for index in range(1, count + 1) if index not in there]
        scored = any(record.score is not None and record.score.value is not None for record in shards)
        if missing:
            gaps.append(f"language: {model} on {dataset}: shard {', '.join(missing)} of {count} is missing")
        elif not scored:
            gaps.append(
                f"language: {model} on {dataset}: all {count} shards are there, but no run scored the whole; score it with "
                "--mode eval --reuse RUN"
            )
    return gaps
