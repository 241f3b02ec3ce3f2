"""The cores of a run: what the machine, the affinity mask and the container's quota leave of them."""

import os

import pytest

from bench.machine import cores


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", (0,)), ("0-2,8\n", (0, 1, 2, 8)), ("3,7", (3, 7)), ("10-11", (10, 11)), ("5-5", (5,))],
)
def test_cpu_lists_of_the_kernel_are_read(text, expected):
    assert cores.parse_cpu_list(text) == expected


@pytest.mark.parametrize(
    ("count", "workers", "expected"), [(8, 1, 8), (8, 3, 2), (8, 8, 1), (4, 9, 1), (1, 1, 1), (4, 0, 4)]
)
def test_slot_is_cores_divided_by_workers_and_at_least_one(count, workers, expected):
    assert cores.slot_size(count, workers) == expected


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of four physical cores with two threads each, n and n + 4 being siblings."""
    for cpu in range(8):
        directory = tmp_path / f"cpu{cpu}/topology"
        directory.mkdir(parents=True)
        (directory / "thread_siblings_list").write_text(f"{cpu % 4},{cpu % 4 + 4}\n")

    def configure(allowed, quota=None):
        if quota is not None:
            (tmp_path / "cpu.max").write_text(quota)
        monkeypatch.setattr(cores, "CPU_TOPOLOGY", tmp_path)
        monkeypatch.setattr(cores, "CGROUP_QUOTA", tmp_path / "cpu.max")
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(allowed))
        return cores.usable_cores()

    return configure


@pytest.mark.parametrize(
    ("quota", "expected"),
    [(None, 4), ("max 100000\n", 4), ("200000 100000\n", 2), ("50000 100000\n", 1), ("900000 100000\n", 4)],
)
def test_quota_of_the_container_lowers_the_number_of_cores(machine, quota, expected):
    assert len(machine(range(8), quota)) == expected


def test_hardware_threads_of_one_core_are_one_core(machine):
    found = machine(range(8))
    assert found == [(0, 4), (1, 5), (2, 6), (3, 7)]
    assert [cores.threads_for(found), cores.threads_for(found[:1]), cores.threads_for([])] == [4, 1, 1]
    assert cores.logical(found[:2]) == {0, 1, 4, 5}


def test_only_processors_of_the_affinity_mask_are_used(machine):
    assert machine({1, 2, 6}) == [(1,), (2, 6)]


def test_machine_that_shows_no_topology_has_a_core_per_processor(monkeypatch, tmp_path):
    monkeypatch.setattr(cores, "CPU_TOPOLOGY", tmp_path)
    monkeypatch.setattr(cores, "CGROUP_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 9})
    assert cores.usable_cores() == [(3,), (9,)]
