"""How cases are split over jobs: evenly, what belongs together in one job, what shares a model in few."""

from __future__ import annotations

import random

import pytest

from bench.cluster.split import Member, Unit, split, split_kinds, units_of
from bench.language.case import LanguageCase


def members_of(cases):
    return [
        Member(
            case.id, case.cost, tuple(f"language:{name}" for name in (case.id, *case.together)), case.shares
        )
        for case in cases
    ]


def loads(jobs):
    return [sum(unit.cost for unit in job) for job in jobs]


def ids(job):
    return [nodeid for unit in job for nodeid in unit.nodeids]


def test_shards_of_a_dataset_and_a_group_with_its_members_cannot_be_parted():
    shards = [LanguageCase(f"m-big-{n}of3", "m", "big", shard=n, shards=3) for n in (1, 2, 3)]
    tasks = [LanguageCase(f"m-{name}", "m", name) for name in ("one", "two", "three")]
    group = LanguageCase("m-pair", "m", "pair", members=("m-one", "m-big-2of3"), cost=0.0)
    units = units_of(members_of([*tasks, *shards, group]))
    assert [unit.nodeids for unit in units] == [
        ("m-one", "m-big-1of3", "m-big-2of3", "m-big-3of3", "m-pair"), ("m-two",), ("m-three",),
    ]  # fmt: skip
    assert units[0].cost == 4
    assert {unit.shares for unit in units} == {"m"}


def test_the_same_dataset_of_two_models_can_be_parted():
    cases = [LanguageCase(f"{m}-big-{n}of2", m, "big", shard=n, shards=2) for m in ("a", "b") for n in (1, 2)]
    assert [unit.nodeids for unit in units_of(members_of(cases))] == [
        ("a-big-1of2", "a-big-2of2"), ("b-big-1of2", "b-big-2of2"),
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_jobs_cost_about_the_same(seed):
    draw = random.Random(seed)
    units = [
        Unit((f"{m}-{d}",), draw.lognormvariate(0, 1), f"model {m}") for m in range(12) for d in range(40)
    ]
    jobs = split(units, 8)
    assert len(jobs) == 8
    assert max(loads(jobs)) <= 1.1 * sum(loads(jobs)) / 8
    assert sorted(nodeid for job in jobs for nodeid in ids(job)) == sorted(unit.nodeids[0] for unit in units)


def test_what_shares_a_model_stays_in_one_job_while_jobs_stay_even():
    units = [Unit((f"{model}-{n}",), 1.0, model) for n in range(10) for model in "abcd"]
    for jobs in (4, 2):
        parts = split(units, jobs)
        homes = {
            model: {n for n, part in enumerate(parts) for unit in part if unit.shares == model}
            for model in "abcd"
        }
        assert {len(home) for home in homes.values()} == {1}
    parts = split(units, 8)
    assert loads(parts) == [5.0] * 8
    assert {len({unit.shares for unit in part}) for part in parts} == {1}


def test_one_case_that_costs_more_than_its_share_is_alone():
    units = [Unit(("huge",), 100.0, "a"), *(Unit((f"small-{n}",), 1.0, "a") for n in range(30))]
    jobs = split(units, 4)
    assert ids(jobs[0]) == ["huge"]
    assert max(loads(jobs)[1:]) - min(loads(jobs)[1:]) <= 1


def test_no_job_is_empty_and_cases_keep_their_order():
    assert split([], 3) == []
    units = [Unit((f"case-{n}",), 0.0, None) for n in range(3)]
    assert [ids(job) for job in split(units, 8)] == [["case-0"], ["case-1"], ["case-2"]]
    one = split([Unit((f"case-{n}",), float(n), None) for n in range(5)], 1)
    assert ids(one[0]) == [f"case-{n}" for n in range(5)]


def test_every_job_gets_its_share_of_each_kind():
    """Costs of two kinds are in units of their own: those of one count nothing next to those of the other."""
    slow = [Unit((f"slow-{n}",), 1.0, "baseline") for n in range(6)]
    quick = [Unit((f"quick-{n}",), 1000.0, "ranker") for n in range(9)]
    jobs = split_kinds([slow, quick], 3)
    assert [sorted(nodeid[:5] for nodeid in ids(job)) for job in jobs] == [["quick"] * 3 + ["slow-"] * 2] * 3
    one = split_kinds([slow, [Unit(("alone",), 1.0, None)], [Unit(("other",), 1.0, None)]], 4)
    assert len(one) == 4
    assert [job for job in one if {"alone", "other"} <= set(ids(job))] == []
    assert split_kinds([], 3) == []
