"""Splits cases over jobs of about the same expected cost. Pure: numbers and names in, node ids out."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

# The fullest job may cost this much more than it has to; less is not worth loading a model in one more job.
_TOLERANCE = 1.1
# What costs less than this share of a job moves none of them by much.
_FINEST = 0.02


@dataclass(frozen=True)
class Member:
    """A test that is handed to a job.

    Attributes:
        nodeid: of the test.
        cost: relative to other tests.
        names: of what it is or is a part of; tests that share a name stay in one job.
        shares: what is loaded or computed for it and for others, None where there is nothing; tests that share it are kept
            in one job as long as the jobs stay even.
    """

    nodeid: str
    cost: float = 0.0
    names: tuple[Hashable, ...] = ()
    shares: Hashable = None


@dataclass(frozen=True)
class Unit:
    """Tests that cannot be parted.

    Attributes:
        nodeids: in the order in which they were collected.
        cost: of all of them.
        shares: of the first.
    """

    nodeids: tuple[str, ...]
    cost: float
    shares: Hashable


def units_of(members: Sequence[Member]) -> list[Unit]:
    """Return what cannot be parted, in the order of their first tests."""
    leader = list(range(len(members)))

    def find(place: int) -> int:
        while leader[place] != place:
            leader[place] = leader[leader[place]]
            place = leader[place]
        return place

    first: dict[Hashable, int] = {}
    for place, member in enumerate(members):
        for name in member.names:
            one, other = sorted((find(first.setdefault(name, place)), find(place)))
            leader[other] = one
    groups: dict[int, list[Member]] = {}
    for place, member in enumerate(members):
        groups.setdefault(find(place), []).append(member)
    return [
        Unit(tuple(one.nodeid for one in group), sum(one.cost for one in group), group[0].shares)
        for group in groups.values()
    ]


def split_kinds(kinds: Iterable[Sequence[Unit]], jobs: int) -> list[list[Unit]]:
    """Return the units of each job where units are of several kinds, whose costs cannot be compared.

    Each kind is split by itself, so that every job gets about the same of each. The most costly part of a kind goes to the
    job that has least so far, where the fullest part of a kind counts as one.

    Args:
        kinds: the units of each kind.
        jobs: at least 1.
    """
    found: list[list[Unit]] = [[] for _ in range(jobs)]
    loads = [0.0] * jobs
    for units in sorted(kinds, key=len, reverse=True):
        parts = split(units, jobs)
        emptiest = sorted(range(jobs), key=lambda job: loads[job])
        for job, part in zip(emptiest, parts, strict=False):
            found[job] += part
            loads[job] += _cost(part) / (_cost(parts[0]) or 1.0)
    return [job for job in found if job]


def split(units: Sequence[Unit], jobs: int) -> list[list[Unit]]:
    """Return the units of each job, the most costly job first; fewer jobs where there are fewer units.

    Units that share something begin as one bundle. Bundles go to the job that has least, the most costly first (LPT: Graham,
    Bounds on multiprocessing timing anomalies, 1969). While a job has over a tenth more than it has to, the largest bundle
    is cut in two.

    Args:
        units: that cannot be parted.
        jobs: at least 1.
    """
    if not units:
        return []
    bundles = _bundles(units)
    least = max(sum(unit.cost for unit in units) / jobs, *(unit.cost for unit in units))
    best = packed = _pack(bundles, jobs)
    while _load(packed[0]) > _TOLERANCE * least:
        largest = max((bundle for bundle in bundles if len(bundle) > 1), key=_cost, default=None)
        if largest is None or _cost(largest) <= _FINEST * least:
            break
        bundles.remove(largest)
        bundles += _pack([[unit] for unit in largest], 2)
        packed = _pack(bundles, jobs)
        if _load(packed[0]) < _load(best[0]):
            best = packed
    place = {unit: number for number, unit in enumerate(units)}
    return [sorted(job, key=lambda unit: place[unit]) for job in best]


def _bundles(units: Iterable[Unit]) -> list[list[Unit]]:
    bundles: dict[Hashable, list[Unit]] = {}
    for unit in units:
        key = ("alone", unit.nodeids[0]) if unit.shares is None else ("shared", unit.shares)
        bundles.setdefault(key, []).append(unit)
    return list(bundles.values())


def _pack(bundles: Sequence[Sequence[Unit]], jobs: int) -> list[list[Unit]]:
    """Return the units of each job that has any, the most costly first."""
    heap: list[tuple[float, int, int]] = [(0.0, 0, job) for job in range(jobs)]
    packed: list[list[Unit]] = [[] for _ in range(jobs)]
    for bundle in sorted(bundles, key=_cost, reverse=True):
        load, count, job = heapq.heappop(heap)
        packed[job] += bundle
        heapq.heappush(heap, (load + _cost(bundle), count + len(bundle), job))
    return sorted((job for job in packed if job), key=_cost, reverse=True)


def _cost(units: Iterable[Unit]) -> float:
    return sum(unit.cost for unit in units)


def _load(job: Sequence[Unit]) -> float:
    return _cost(job)
