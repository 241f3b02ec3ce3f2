"""Which rows ``--limit`` leaves: a seeded sample, in which each group has its share, and that only grows with the limit."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.core.names import content_hash
from bench.language.record import DrawnRows

_RESOLUTION = 2**64


@dataclass(frozen=True)
class Drawn:
    """A sample of rows.

    Attributes:
        numbers: of the rows in the source, in their order there.
        record: what is said of it; None where all rows are taken.
        note: a sentence for a reader; empty where there is nothing to say.
    """

    numbers: Sequence[int]
    record: DrawnRows | None = None
    note: str = ""


def draw(rows: Sequence[Mapping[str, Any]], limit: int | None, seed: int, group: str | None) -> Drawn:
    """Return the rows that a limit leaves.

    Rows are drawn without replacement. The order of drawing depends on the seed and on what is in the rows, and not on
    their order in the source: so the sample of N rows is a part of the sample of M > N rows, also of a file that is sorted
    in another way.

    Args:
        rows: of the source.
        limit: rows at most; None takes all.
        seed: of the run.
        group: field whose values each have their share of the sample; None for no such field.
    """
    if limit is None or limit >= len(rows):
        return Drawn(range(len(rows)))
    groups = _groups(rows, group)
    chosen = sorted(drawing_order(rows, groups, seed)[:limit])
    stratified = groups is not None
    record = DrawnRows(
        rows=limit, of=len(rows), seed=seed, by=group if stratified else None,
        groups=len(set(groups)) if groups is not None else None,
    )  # fmt: skip
    note = ""
    if group is not None and not stratified:
        note = f"the sample of --limit is not stratified: some rows have no field {group!r}"
    return Drawn(chosen, record, note)


def drawing_order(
    rows: Sequence[Mapping[str, Any]], groups: Sequence[Hashable] | None, seed: int
) -> list[int]:
    """Return the numbers of all rows in the order in which they are drawn; the first N are the sample of N rows.

    Within a group the order is random. Each group's rows are spread evenly over the whole order, after a random
    beginning, so that each beginning of the order has a share of each group that is about the group's own.

    Args:
        rows: of the source.
        groups: of each row; None is one group.
        seed: of the run.
    """
    seen: dict[str, int] = {}
    ranks: dict[Hashable, list[tuple[float, int]]] = {}
    for number, row in enumerate(rows):
        content = content_hash(row)
        seen[content] = seen.get(content, 0) + 1
        chance = _chance(f"{seed}:{content}:{seen[content]}")
        ranks.setdefault(None if groups is None else groups[number], []).append((chance, number))
    placed = []
    for group, members in ranks.items():
        begin = _chance(f"{seed}:group:{group!r}")
        for place, (chance, number) in enumerate(sorted(members)):
            placed.append(((place + begin) / len(members), chance, number))
    return [number for _, _, number in sorted(placed)]


def _groups(rows: Iterable[Mapping[str, Any]], field: str | None) -> list[Hashable] | None:
    """Return the group of each row; None without a field, or where a row lacks it."""
    if field is None:
        return None
    found = [row.get(field) for row in rows]
    return None if any(value is None for value in found) else [str(value) for value in found]


def _chance(text: str) -> float:
    """Return a number from 0 to 1 that a text decides."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / _RESOLUTION
