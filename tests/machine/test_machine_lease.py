"""Machine-wide leases: locks between runs, freed by death, and harmless where they cannot be had."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.machine import cores, machine_lease
from bench.machine.lease import Lease, LeaseServer, MachineBusy, service_address
from bench.machine.machine_lease import DIRECTORY, Holder, MachineLocks, gpu_names, lease_directory

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("cpu-0", "cpu-1", "cpu-2")
PATIENCE_S = 60


def locks(directory, run="one", names=NAMES):
    return MachineLocks(names, lambda: run, directory)


# Locks


def test_two_runs_never_hold_one_core_and_the_second_takes_what_is_free(tmp_path):
    one, other = locks(tmp_path / "l"), locks(tmp_path / "l", "other")
    assert one.take((0, 1, 2), 1) == ((0,), {})
    taken, elsewhere = other.take((0, 1, 2), 1)
    assert (taken, elsewhere) == ((1,), {0: Holder("one", os.getpid())})
    assert one.take((1, 2), 2) == ((), {1: Holder("other", os.getpid())})
    one.release((0,))
    assert other.take((0, 2), 2) == ((0, 2), {})


def test_what_cannot_be_had_whole_is_left_to_others(tmp_path):
    one, other = locks(tmp_path), locks(tmp_path, "other")
    one.take((1,), 1)
    assert other.take((0, 1, 2), 3)[0] == ()
    assert one.take((0, 2), 2)[0] == (0, 2)


def test_held_elsewhere_names_the_holders_only_where_nothing_is_free(tmp_path):
    one, other = locks(tmp_path), locks(tmp_path, "other")
    one.take((0, 1), 2)
    assert other.held_elsewhere() == {}
    one.take((2,), 1)
    held = other.held_elsewhere()
    assert other.describe(held) == f"cpu-0, cpu-1, cpu-2, held by run one (pid {os.getpid()})"


def test_directory_and_files_are_everybodys_whatever_the_umask(tmp_path):
    old = os.umask(0o077)
    try:
        locks(tmp_path / "l").take((0,), 1)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "l").stat().st_mode) == 0o1777
    assert stat.S_IMODE((tmp_path / "l" / "cpu-0").stat().st_mode) == 0o666


def test_the_file_says_who_holds_it_and_is_empty_afterwards(tmp_path):
    one = locks(tmp_path)
    one.take((0,), 1)
    found = json.loads((tmp_path / "cpu-0").read_text())
    assert found["pid"] == os.getpid()
    assert found["run"] == "one"
    assert found["started"].endswith("+00:00")
    one.release((0,))
    assert (tmp_path / "cpu-0").read_text() == ""


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_only_be_read_is_locked_too(tmp_path):
    _lock_file_that_may_only_be_read(tmp_path)


def test_a_file_opened_for_reading_only_is_locked_too(tmp_path, monkeypatch):
    """The same for root, whom no mode keeps from writing."""
    plain = os.open

    def refuse(path, flags, *more, **named):
        if path == "cpu-0" and flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied")
        return plain(path, flags, *more, **named)

    (tmp_path / "cpu-0").touch()
    monkeypatch.setattr(machine_lease.os, "open", refuse)
    _lock_file_that_may_only_be_read(tmp_path)


def _lock_file_that_may_only_be_read(directory):
    (directory / "cpu-0").touch()
    (directory / "cpu-0").chmod(0o444)
    one, other = locks(directory), locks(directory, "other")
    assert one.take((0,), 1) == ((0,), {})
    assert other.take((0,), 1) == ((), {0: Holder()})
    assert str(Holder()) == "another run"
    one.release((0,))
    assert other.take((0,), 1)[0] == (0,)


@pytest.mark.parametrize("trap", ["link", "hard link", "pipe", "directory"])
def test_what_is_no_plain_file_is_neither_followed_nor_written(tmp_path, trap):
    treasure = tmp_path / "treasure"
    treasure.write_text("mine")
    place = tmp_path / "l" / "cpu-0"
    place.parent.mkdir()
    {
        "link": lambda: place.symlink_to(treasure),
        "hard link": lambda: os.link(treasure, place),
        "pipe": lambda: os.mkfifo(place),
        "directory": place.mkdir,
    }[trap]()
    one = locks(tmp_path / "l")
    assert one.take((0,), 1)[0] == (0,), "the run goes on, by its own leases alone"
    assert f"{place} cannot be locked" in one.problem
    one.release((0,))
    assert treasure.read_text() == "mine"


def test_a_directory_that_cannot_be_made_takes_no_run_down(tmp_path):
    (tmp_path / "l").touch()
    one = locks(tmp_path / "l")
    assert one.take((0, 1), 2) == ((0, 1), {})
    assert "cannot be locked" in one.problem


def test_a_file_that_somebody_cleaned_up_splits_no_later_lock(tmp_path):
    one, other, third = (locks(tmp_path, name) for name in ("one", "other", "third"))
    one.take((0,), 1)
    (tmp_path / "cpu-0").unlink()
    assert other.take((0,), 1)[0] == (0,)
    assert third.take((0,), 1)[1] == {0: Holder("other", os.getpid())}


@given(st.binary(max_size=60))
def test_whatever_a_file_says_is_read_without_harm(text):
    Holder.parse(text)


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"7", b'{"run": 3, "pid": 4}', b'{"run": "a"}', b"[" * 4096, b'{"run": "a", "pid": "b"}']
)  # fmt: skip
def test_a_file_that_names_nobody_is_another_run(text):
    assert Holder.parse(text) == Holder()


def test_what_another_user_wrote_controls_no_terminal():
    text = json.dumps({"run": "\x1b[2Jred\n" + "x" * 999, "pid": 1}).encode()
    assert str(Holder.parse(text)) == "run " + f"[2Jred{'x' * 80}"[:80] + " (pid 1)"


HOLDER = """
import os, sys, time
from pathlib import Path
from bench.machine.machine_lease import MachineLocks
locks = MachineLocks(("cpu-0",), lambda: "dying", Path(sys.argv[1]))
assert locks.take((0,), 1)[0]
child = os.fork() if len(sys.argv) > 2 else 1
if child:
    print(child, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("with_child", [False, True])
def test_a_killed_holder_frees_its_lock_also_where_a_child_of_it_lives_on(tmp_path, with_child):
    command = [sys.executable, "-c", HOLDER, str(tmp_path), *(["fork"] if with_child else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as holder:
        child = int(holder.stdout.readline())
        other = locks(tmp_path)
        try:
            assert other.take((0,), 1)[1] == {0: Holder("dying", holder.pid)}
            holder.kill()
            holder.wait()
            deadline = time.monotonic() + 30
            while not (taken := other.take((0,), 1)[0]) and time.monotonic() < deadline:
                time.sleep(0.05)  # the child has just been forked, and lets go as soon as it runs
            assert taken == (0,)
        finally:
            if with_child:
                os.kill(child, signal.SIGKILL)


# Names


def test_the_directory_is_the_variables_or_one_for_the_whole_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("MODELGATE_LEASE_DIR", str(tmp_path))
    assert lease_directory() == tmp_path
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("MODELGATE_LEASE_DIR")
    assert lease_directory() == DIRECTORY == Path("/tmp/modelgate-leases")


def test_two_threads_of_one_core_have_its_name(monkeypatch, tmp_path):
    monkeypatch.setattr(cores, "CPU_TOPOLOGY", tmp_path)
    for cpu, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):
        directory = tmp_path / f"cpu{cpu}/topology"
        directory.mkdir(parents=True)
        (directory / "thread_siblings_list").write_text(siblings + "\n")
    assert cores.core_names([(0, 2), (3,)]) == ("cpu-0", "cpu-1")
    assert cores.core_names([(2,), (7,)]) == ("cpu-0", "cpu-7")


@pytest.mark.parametrize(
    ("visible", "count", "names"),
    [
        (None, 2, ("gpu-GPU-aa11", "gpu-GPU-bb22")),
        ("1", 1, ("gpu-GPU-bb22",)),
        ("1, 0", 2, ("gpu-GPU-bb22", "gpu-GPU-aa11")),
        ("GPU-bb", 1, ("gpu-GPU-bb22",)),
        ("GPU-", 1, ("gpu-GPU-",)),
        ("5", 1, ("gpu-5",)),
        ("MIG-GPU-aa11/3/0", 1, ("gpu-MIG-GPU-aa11-3-0",)),
        ("-1", 0, ()),
    ],
)
def test_a_gpu_has_the_name_of_the_driver_whatever_the_run_sees_of_it(
    monkeypatch, tmp_path, visible, count, names
):
    monkeypatch.setattr(machine_lease, "_GPUS", tmp_path)
    for address, uuid in (("0000:0a:00.0", "GPU-bb22"), ("0000:01:00.0", "GPU-aa11")):
        (tmp_path / address).mkdir()
        (tmp_path / address / "information").write_text(
            f"Model: \t A\nGPU UUID: \t {uuid}\nDevice Minor: 0\n"
        )
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu_names(count) == names


def test_gpus_that_the_driver_does_not_list_are_numbered(monkeypatch, tmp_path):
    monkeypatch.setattr(machine_lease, "_GPUS", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpu_names(2) == ("gpu-0", "gpu-1")


# Two servers: two runs on one machine


class Told:
    """Lines for the user."""

    def __init__(self):
        self.lines, self._new = [], threading.Event()

    def __call__(self, line):
        self.lines.append(line)
        self._new.set()

    def wait(self):
        assert self._new.wait(PATIENCE_S)
        return self.lines


@pytest.fixture
def serve(tmp_path_factory):
    """Start the lease servers of runs that share a directory of locks, and stop them."""
    servers, shared = [], tmp_path_factory.mktemp("shared")

    def start(run, names=("cpu-0", "cpu-1"), **named):
        server = LeaseServer(
            tmp_path_factory.mktemp("l") / "s", len(names), {"echo": lambda: "here"},
            locks=locks(shared, run, names), **named,
        )  # fmt: skip
        servers.append(server.start())
        return server

    yield start
    for server in servers:
        server.stop()


def in_thread(server, count):
    """Hold a lease in a thread; return the thread, what it got and how to let it go."""
    got, leave = [], threading.Event()

    def hold():
        with Lease(server.address, count) as lease:
            got.append(lease.resources)
            leave.wait(PATIENCE_S)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    return thread, got, leave


def test_a_run_takes_the_core_that_the_other_one_leaves_free(serve):
    one, other = serve("one"), serve("other")
    with Lease(one.address, 1) as first, Lease(other.address, 1) as second:
        assert (first.resources, second.resources) == ((0,), (1,))


def test_a_run_waits_for_the_other_one_and_says_so_once(serve):
    told = Told()
    one, other = serve("one"), serve("other", tell=told)
    with Lease(one.address, 2):
        thread, got, leave = in_thread(other, 1)
        line = f"waiting for cpu-0, cpu-1, held by run one (pid {os.getpid()}) on this machine; --no-wait fails instead"
        assert told.wait() == [line]
        for _ in range(4):
            assert service_address(other.address, "echo") == "here", (
                "who waits does not keep others from being served"
            )
        assert got == []
    leave.set()
    thread.join(PATIENCE_S)
    assert got in ([(0,)], [(1,)])  # the locks of both are freed one after the other, and it looks between
    assert told.lines == [line]


def test_a_server_that_stops_frees_what_its_clients_held(serve):
    one, other = serve("one"), serve("other")
    lease = Lease(one.address, 2).__enter__()
    one.stop()
    with Lease(other.address, 2) as second:
        assert second.resources == (0, 1)
    lease.__exit__(None, None, None)


def test_a_request_that_was_given_up_takes_no_lock(serve):
    told = Told()
    one, other = serve("one"), serve("other", tell=told)
    with Lease(one.address, 2):
        giving_up = Lease(other.address, 2)

        def ask():
            with pytest.raises(ConnectionError):
                giving_up.__enter__()

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        told.wait()
        other.stop()
        thread.join(PATIENCE_S)
    with Lease(one.address, 2) as again:
        assert again.resources == (0, 1)


def test_who_does_not_wait_is_told_who_holds_what_and_may_ask_again(serve):
    one, other = serve("one"), serve("other", wait=False)
    with Lease(one.address, 1):
        with Lease(other.address, 1) as free:
            assert free.resources == (1,)
        with pytest.raises(MachineBusy, match=r"found cpu-0, held by run one \(pid \d+\) on this machine"):
            Lease(other.address, 2).__enter__()
    with Lease(other.address, 2) as everything:
        assert everything.resources == (0, 1)


def test_who_does_not_wait_for_other_runs_waits_for_its_own(serve):
    one, other = serve("one"), serve("other", wait=False)
    with Lease(one.address, 1):
        first, got_first, leave_first = in_thread(other, 1)
        while not got_first:
            first.join(0.01)
        second, got_second, leave_second = in_thread(other, 1)
        second.join(0.6)
        assert got_second == []
        leave_first.set()
        leave_second.set()
        second.join(PATIENCE_S)
    assert got_first == got_second == [(1,)]


def test_locks_that_cannot_be_had_are_told_once_and_hold_nobody_up(tmp_path_factory):
    directory = tmp_path_factory.mktemp("l")
    (directory / "file").touch()
    told = Told()
    server = LeaseServer(
        directory / "s", 2, locks=locks(directory / "file", names=("cpu-0", "cpu-1")), tell=told
    ).start()
    try:
        with Lease(server.address, 2):
            pass
        with Lease(server.address, 1):
            assert len(told.wait()) == 1
    finally:
        server.stop()
    assert "cpu-0 cannot be locked" in told.lines[0]
    assert told.lines[0].endswith("; other runs on this machine are not waited for")
