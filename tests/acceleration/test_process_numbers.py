"""Arms with process numbers of their own: they end as others do, nothing of them is left, and no bomb is faster."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import arms
import pytest
from arms import ArmStarter, is_gone, load_in_vain, wait_until

from bench.acceleration.host.process_tree import children, tree
from bench.core.errors import ArmProblem
from bench.machine import landlock, process_numbers
from bench.machine.jail import Jail

pytestmark = pytest.mark.skipif(
    landlock.version() < 6 or process_numbers.refusal() is not None,
    reason="this system has no PID namespaces for arms, or no Landlock 6",
)


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[str]]:
    """A server without imports: no file here reaches torch."""
    with arms.addressed_server(arms.SERVER_WITHOUT_IMPORTS) as server:
        yield server


@pytest.fixture
def starter(server: subprocess.Popen[str], tmp_path: Path) -> ArmStarter:
    return ArmStarter(server.address, tmp_path, jailed=True)


LOOKS = """
import json, multiprocessing, os, signal, subprocess, sys, threading
import psutil

def attempt(action):
    try:
        return action()
    except Exception as error:
        return type(error).__name__

handled, own = [], psutil.Process()
signal.signal(signal.SIGUSR1, lambda number, frame: handled.append(number))
os.kill(os.getpid(), signal.SIGUSR1)
child = subprocess.Popen(["sleep", "1000"])
child.terminate()
forked = os.fork()
if not forked:
    os.kill(os.getpid(), signal.SIGTERM)
    os._exit(0)
print("found", json.dumps({
    "pid": os.getpid(), "parent": os.getppid(), "session": os.getsid(0),
    "self": os.readlink("/proc/self"), "thread": os.readlink("/proc/thread-self"),
    "psutil": attempt(lambda: [own.pid, own.memory_info().rss > 0, own.num_threads()]),
    "memory": psutil.virtual_memory().total, "processors": attempt(psutil.cpu_count),
    "kernel": [attempt(lambda name=name: len(open(f"/proc/{name}").read()) > 0) for name in ("cpuinfo", "stat", "version")],
    "own": open(f"/proc/{os.getpid()}/stat").read().split()[0], "native": threading.get_native_id(),
    "first": attempt(lambda: open("/proc/1/cmdline").read()), "all": attempt(lambda: os.listdir("/proc")),
    "keys": attempt(lambda: open("/proc/keys").read()), "kcore": attempt(lambda: open("/proc/kcore", "rb") and "open"),
    "setting": attempt(lambda: open("/proc/sys/kernel/pid_max", "w")),
    "kills first": attempt(lambda: os.kill(1, signal.SIGKILL)), "asks first": attempt(lambda: os.kill(1, 0)),
    "kills all": attempt(lambda: os.kill(-1, signal.SIGCONT)),
    "handled": handled, "ended": child.wait(), "forked": os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]),
}), flush=True)
1 / 0
"""


def test_an_arm_sees_its_own_numbers_alone(starter: ArmStarter) -> None:
    with starter.start(LOOKS) as arm:
        assert "ZeroDivisionError" in str(load_in_vain(arm))
        found = json.loads(starter.log(arm).split("found ", 1)[1].splitlines()[0])
        assert "processes" in arm.process.jail["layers"]
        assert found["pid"] != arm.process.pid
    number = str(found["pid"])
    assert found["parent"] == 0
    assert [found["self"], found["thread"], found["own"]] == [number, f"{number}/task/{number}", number]
    assert [found["session"], found["native"]] == [found["pid"]] * 2
    assert found["psutil"] == [found["pid"], True, 1]
    assert found["kernel"] == [True] * 3
    assert found["memory"] > 0
    assert found["processors"] == os.cpu_count()
    for name in ("first", "all", "keys", "setting", "kills first", "asks first"):
        assert found[name] == "PermissionError", name
    assert found["kcore"] != "open"
    # Signals within the arm do what they do anywhere.
    assert (found["handled"], found["ended"], found["forked"]) == ([signal.SIGUSR1], -15, -15)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import os; os.kill(os.getpid(), 9)", "signal 9 (SIGKILL) during load"),
        ("import os; os.kill(os.getpid(), 15)", "signal 15 (SIGTERM) during load"),
        ("import os; os.kill(os.getpid(), 40)", "signal 40 (of no name) during load"),
        ("import os; os.abort()", "signal 6 (SIGABRT) during load"),
        ("import ctypes; ctypes.string_at(0)", "signal 11 (SIGSEGV) during load"),
        ("import os; os._exit(7)", "exit code 7 during load"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", "did not finish load"),
        ("import time; time.sleep(1000)", "did not finish load"),
    ],
    ids=["kill", "terminate", "unnamed", "abort", "fault", "exit", "stop", "hang"],
)
def test_an_arm_ends_as_one_without_them(source: str, said: str, starter: ArmStarter) -> None:
    with (
        pytest.raises(ArmProblem) as caught,
        starter.start(source, load_timeout_s=2 if "not finish" in said else 60) as arm,
    ):
        arm.load()
    assert said in str(caught.value)


LEAVES = """
import os, subprocess, time
child = subprocess.Popen(["sleep", "1000"])
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(1000)
    os._exit(0)
os.wait()
"""


@pytest.mark.parametrize("ending", ["1 / 0", "os._exit(0)", "os.kill(os.getpid(), 9)"])
def test_nothing_is_left_of_an_arm(ending: str, server: subprocess.Popen[str], starter: ArmStarter) -> None:
    with starter.start(LEAVES + ending) as arm:
        problem = load_in_vain(arm)
        if ending == "1 / 0":
            members = tree(arm.process.pid)
            assert len(members) == 3
        else:
            assert problem.reason_code == "crashed"
    assert arms_of(server) == []
    if ending == "1 / 0":
        assert all(map(is_gone, members))


def test_arms_end_with_a_server_that_is_killed(tmp_path: Path) -> None:
    with arms.addressed_server(arms.SERVER_WITHOUT_IMPORTS) as server:
        starter = ArmStarter(server.address, tmp_path, jailed=True)
        with starter.start(LEAVES + "1 / 0") as arm:
            load_in_vain(arm)
            members = [*tree(arm.process.pid), *children(server.pid)]
            assert len(set(members)) >= 4
            server.kill()
            wait_until(lambda: not any(map(runs, members)))


@pytest.mark.skipif(
    tuple(map(int, platform.release().split(".")[:2])) < (6, 14), reason="this kernel limits no namespace"
)
def test_the_kernel_refuses_a_process_too_many(starter: ArmStarter) -> None:
    limit = Path("/proc/sys/kernel/pid_max").read_text()
    look = "print('most', open('/proc/sys/kernel/pid_max').read(), flush=True)\n1 / 0"
    with starter.start(look) as arm:
        load_in_vain(arm)
        assert int(starter.log(arm).split("most ", 1)[1].split()[0]) == 2 * Jail().processes + 300
    assert Path("/proc/sys/kernel/pid_max").read_text() == limit


# Each ends by itself after so many forks, or seconds, should it be held by nothing.
BOMBS = {
    "a_tree_that_doubles": """
        if os.fork() == 0:
            os.setsid()
    """,
    "one_that_leaves_its_parent_behind": """
        if os.fork() == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
        else:
            os.wait()
    """,
    "one_that_is_always_another": """
        if os.getpid() == own:
            if not started:
                started = True
                if os.fork() == 0:
                    continue
            time.sleep(0.001)
        elif os.fork():
            os._exit(0)
        os.setsid() if os.getpid() != own else None
    """,
}
BOMB = """
import mmap, os, signal, time

signal.signal(signal.SIGCHLD, signal.SIG_DFL if {waits} else signal.SIG_IGN)
count, own, end, started = mmap.mmap(-1, 8), os.getpid(), time.monotonic() + 10, False
while int.from_bytes(count[:8], "little") < 2000 and time.monotonic() < end:
    count[:8] = (int.from_bytes(count[:8], "little") + (os.getpid() != own)).to_bytes(8, "little")
{body}
while time.monotonic() < end:
    time.sleep(0.1)
os._exit(0)
"""


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_of_processes_ends_with_its_arm_and_harms_no_other(
    name: str, server: subprocess.Popen[str], starter: ArmStarter
) -> None:
    body = textwrap.indent(textwrap.dedent(BOMBS[name]), "    ")
    source = BOMB.format(waits="os.wait" in body, body=body)
    with starter.start(LEAVES + "1 / 0") as neighbour:
        load_in_vain(neighbour)
        beside = tree(neighbour.process.pid)
        began = time.monotonic()
        with pytest.raises(ArmProblem) as caught, starter.start(source, load_timeout_s=3) as arm:
            arm.load()
        assert caught.value.reason_code in ("load_failed", "timed_out")
        assert time.monotonic() - began < arms.LIMIT_S
        assert set(arms_of(server)) == {neighbour.process.pid, *beside} - sleeping(beside)
        assert tree(neighbour.process.pid) == beside
    assert arms_of(server) == []


def arms_of(server: subprocess.Popen[str]) -> list[int]:
    """Return processes that were forked from a server, wherever they are now, by the command that they share with it."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and server.address.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return [pid for pid in found if pid != server.pid]


def sleeping(pids: list[int]) -> set[int]:
    """Return those that run another program by now."""
    return {pid for pid in pids if b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes()}


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
