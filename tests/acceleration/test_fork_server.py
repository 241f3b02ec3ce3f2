"""Nothing is left of an arm, however it, its evaluator or the fork server ends; and the server serves on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
from pathlib import Path

import arms
import pytest
from arms import (
    LIMIT_S,
    REPOSITORY,
    SERVER_WITHOUT_IMPORTS,
    ArmStarter,
    assert_explains,
    is_gone,
    load_in_vain,
    wait_until,
)

from bench.acceleration.host.process_tree import children, tree
from bench.core.errors import ArmProblem


@pytest.fixture(scope="module")
def server():
    """A server of this file's own, without imports: no file here reaches torch. A test that ends one has one of its own."""
    with arms.addressed_server(arms.SERVER_WITHOUT_IMPORTS) as server:
        yield server


@pytest.fixture
def arm_starter(server, tmp_path):
    return ArmStarter(server.address, tmp_path)


# A child, and a grandchild that left session, process group and parent; both tell their ids.
LEAVES_PROCESSES = """
import os, subprocess, sys, time
child = subprocess.Popen(["sleep", "1000"])
reading, writing = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(writing, str(os.getpid()).encode())
        time.sleep(1000)
    os._exit(0)
os.wait()
print("pids", os.getpid(), child.pid, os.read(reading, 20).decode(), flush=True)
"""
# It ends by itself before torch would be imported, for servers that have not.
LEAVES_PROCESSES_AND_FAILS = f"{LEAVES_PROCESSES}raise RuntimeError('no pipeline')\n"


def is_dead(pid: int) -> bool:
    """Whether the process is gone, or a zombie of a parent that is no process of ours."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def printed_pids(log: str) -> list[int]:
    line = next(line for line in log.splitlines() if line.startswith("pids"))
    return [int(pid) for pid in line.split()[1:]]


def test_descendants_end_with_their_arm(server, arm_starter):
    with arm_starter.start(LEAVES_PROCESSES_AND_FAILS) as arm:
        load_in_vain(arm)
        pids = printed_pids(arm_starter.log(arm))
        assert sorted(tree(arm.process.pid)) == sorted(pids)
        directory = next(arm_starter.scratch.iterdir())
    assert all(map(is_gone, pids))
    assert not children(server.pid)
    assert not directory.exists()


@pytest.mark.parametrize(
    "ending",
    [
        "os._exit(0)",
        "os.kill(os.getpid(), 9)",
        "import ctypes; ctypes.CDLL(None).prctl(36, 0, 0, 0, 0); os._exit(0)",
    ],
    ids=["exit", "kill", "gives_them_away"],
)
def test_descendants_end_with_an_arm_that_ends_by_itself(ending, server, arm_starter):
    with arm_starter.start(LEAVES_PROCESSES + ending) as arm:
        load_in_vain(arm)
        pids = printed_pids(arm_starter.log(arm))
    assert all(map(is_gone, pids))
    assert not children(server.pid)


def test_descendants_that_an_arm_gives_away_do_not_outlive_it_unseen(server, arm_starter):
    gives_away = "import ctypes; ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)\n"
    with arm_starter.start(gives_away + LEAVES_PROCESSES_AND_FAILS) as arm:
        load_in_vain(arm)
        own, child, given_away = printed_pids(arm_starter.log(arm))
        wait_until(lambda: is_gone(given_away))
        assert not is_gone(own)
        assert not is_gone(child)


def test_arms_end_with_their_evaluator(server, arm_starter, tmp_path):
    (tmp_path / "evaluator").mkdir()
    program = f"""
    import sys, time
    sys.path[:0] = [{str(REPOSITORY)!r}, {str(REPOSITORY / "tests/helpers")!r}]
    from pathlib import Path
    from arms import ArmStarter
    starter = ArmStarter({server.address!r}, Path({str(tmp_path / "evaluator")!r}))
    with starter.start({LEAVES_PROCESSES!r}) as arm:
        try:
            arm.load()
        except Exception:
            print(starter.log(arm), flush=True)
        time.sleep(1000)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True
    ) as evaluator:
        pids = printed_pids(evaluator.stdout.readline())
        assert not any(map(is_gone, pids))
        evaluator.kill()
    wait_until(lambda: all(map(is_gone, pids)))
    assert server.poll() is None


def test_arms_end_with_the_fork_server(bare_server, bare_starter):
    with bare_starter.start(LEAVES_PROCESSES_AND_FAILS) as arm:
        load_in_vain(arm)
        pids = printed_pids(bare_starter.log(arm))
        bare_server.terminate()
        assert bare_server.wait(LIMIT_S) == 0
        assert all(map(is_gone, pids))
        with pytest.raises(ArmProblem, match=r"signal 9 \(SIGKILL\)|fork server that would know is gone"):
            arm.load()


def test_an_arm_ends_with_a_fork_server_that_is_killed(bare_server, bare_starter):
    with bare_starter.start("import time\ntime.sleep(1000)") as arm:
        timer = threading.Timer(0.1, bare_server.kill)
        timer.start()
        problem = load_in_vain(arm)
        wait_until(lambda: is_dead(arm.process.pid))
    assert_explains(
        problem, "service_died", ["the fork server that would know is gone", "logs/forkserver.log"], ""
    )


def test_the_fork_server_ends_with_its_parent(tmp_path):
    program = f"""
    import subprocess, sys, time
    command = {SERVER_WITHOUT_IMPORTS!r}
    server = subprocess.Popen([*command, sys.argv[1]], cwd={str(REPOSITORY)!r}, stdout=subprocess.PIPE)
    assert server.stdout.readline(), "the fork server did not start"
    print(server.pid, flush=True)
    time.sleep(1000)
    """
    with (
        tempfile.TemporaryDirectory(prefix="modelgate-", dir="/tmp") as directory,
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program), f"{directory}/fork"],
            stdout=subprocess.PIPE,
            text=True,
        ) as parent,
    ):
        server = int(parent.stdout.readline())
        starter = ArmStarter(f"{directory}/fork", tmp_path)
        with starter.start(LEAVES_PROCESSES_AND_FAILS) as arm:
            load_in_vain(arm)
            pids = printed_pids(starter.log(arm))
            parent.kill()
            wait_until(lambda: is_dead(server))
            assert all(map(is_gone, pids))


def test_the_fork_server_outlives_misbehaving_clients(server, arm_starter):
    def connect() -> socket.socket:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.connect(server.address)
        client.settimeout(LIMIT_S)
        return client

    def start_one() -> None:
        with arm_starter.start("1 / 0") as arm:
            assert_explains(load_in_vain(arm), "load_failed", ["ZeroDivisionError"], "1 / 0")

    start_one()
    opened = set(os.listdir(f"/proc/{server.pid}/fd"))
    with connect() as silent, connect() as slow:
        slow.sendall(b'{"kind":')
        for said in (b"garbage\n", b"[1]\n", b"[" * 10**5 + b"\n", b"{}\n", b"\xff\n", b"x" * (2**20 + 1)):
            with connect() as client:
                client.sendall(said)
                assert b"expected" in client.recv(4096)
        with connect() as client:
            client.sendall(b"{}")
        # An arm beside them starts as ever, although the silent one was there first.
        start_one()
        assert silent.fileno() >= 0
    start_one()
    wait_until(lambda: set(os.listdir(f"/proc/{server.pid}/fd")) == opened)


def test_the_fork_server_leaves_ctrl_c_to_the_run(server, arm_starter):
    server.send_signal(signal.SIGINT)
    with arm_starter.start("raise KeyboardInterrupt") as arm:
        assert_explains(load_in_vain(arm), "load_failed", ["KeyboardInterrupt"], "")


def test_a_fork_server_that_is_gone_is_named(tmp_path):
    with pytest.raises(ArmProblem) as caught, ArmStarter(str(tmp_path / "nothing"), tmp_path).start():
        pass
    assert_explains(
        caught.value, "service_died", ["not started by the fork server", "logs/forkserver.log"], ""
    )
    assert not list((tmp_path / "scratch").iterdir())


def test_a_large_environment_arrives_whole(server, tmp_path):
    large = {"LARGE": "x" * 300_000}
    starter = ArmStarter(server.address, tmp_path, environment=large)
    with starter.start("import os\nprint(len(os.environ['LARGE']))\n1 / 0") as arm:
        load_in_vain(arm)
        assert "300000" in starter.log(arm)


def test_an_arm_cannot_have_another_one_forked(arm_starter):
    source = """
    import socket
    words = open("/proc/self/cmdline").read().split("\\0")
    address = next(word for word in words if word.endswith("/fork"))
    client = socket.socket(socket.AF_UNIX)
    client.connect(address)
    print(client.recv(1000), client.recv(1000))
    1 / 0
    """
    with arm_starter.start(source) as arm:
        load_in_vain(arm)
        assert "an arm may not ask for another one" in arm_starter.log(arm)
