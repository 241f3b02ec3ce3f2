"""The jail and what is around it: other processes of the same user, its own disk, what a fork server has ready for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.machine import jail, kernel, landlock, seccomp, spare

ROOT = Path(__file__).resolve().parents[2]
DISK_BYTES = 2**20
needs_landlock = pytest.mark.skipif(landlock.version() < 6, reason="this kernel lacks Landlock 6")
# A process forked by one that has prepared for it, in a jail, next to another one of the same user.
ATTEMPTS = """
import ctypes, fcntl, json, os, resource, sys
from bench.machine import jail, kernel, spare

scratch, other, spared = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
libc = ctypes.CDLL(None, use_errno=True)
found = {}

def attempt(name, action):
    try:
        found[name] = action()
    except OSError as error:
        found[name] = error.errno

def raw(name, *arguments):
    number = {"clone": (56, 220), "timer_create": (222, 107)}[name][os.uname().machine != "x86_64"]
    made = libc.syscall(number, *arguments)
    if made < 0:
        raise OSError(ctypes.get_errno(), name)
    if name == "clone" and not made:
        os._exit(0)

def subreaper():
    if libc.prctl(36, 0, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "prctl")

def fill():
    with open("filling", "wb") as file:
        for _ in range(64):
            file.write(bytes(2**18))
            file.flush()

spare.prepare()
own = jail.Jail(writable=(scratch,), disk_bytes=int(sys.argv[4])).own
ready = spare.make_spare((), own) if spared else None
child = os.fork()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
spare.forget()
kernel.close_all_but((0, 1, 2, *(ready.descriptors if ready else ())))
entered = jail.enter(jail.Jail(writable=(scratch,), disk_bytes=int(sys.argv[4])), spare=ready)
os.chdir(scratch)
attempt("processors of another", lambda: os.sched_setaffinity(other, {max(os.sched_getaffinity(0))}))
attempt("priority of another", lambda: os.setpriority(os.PRIO_PROCESS, other, 19))
attempt("policy of another", lambda: os.sched_setscheduler(other, os.SCHED_IDLE, os.sched_param(0)))
attempt("limits of another", lambda: resource.prlimit(other, resource.RLIMIT_CPU, (1, 1)))
attempt("own processors", lambda: os.sched_setaffinity(0, os.sched_getaffinity(0)))
attempt("own priority", lambda: os.nice(0))
attempt("own limits", lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
attempt("child of the parent", lambda: raw("clone", 0x8000 | 17, 0, 0, 0, 0))
attempt("own child", lambda: raw("clone", 17, 0, 0, 0, 0))
attempt("no longer adopt", subreaper)
attempt("timer of any signal", lambda: raw("timer_create", 1, 0, 0))
attempt("any signal of a pipe", lambda: fcntl.fcntl(0, 10, 18))
attempt("flags of a pipe", lambda: fcntl.fcntl(0, fcntl.F_GETFL) and None)
attempt("fill the disk", fill)
found["descriptors"] = [int(name) for name in os.listdir("/proc/self/fd")]
print(json.dumps({"layers": entered.layers, "missing": entered.missing, "found": found}), flush=True)
os._exit(0)
"""


@pytest.fixture(scope="module", params=[True, False], ids=["spare", "without"])
def beside(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a jailed process could do to another one, and what the other one's place is afterwards."""
    scratch = tmp_path_factory.mktemp("scratch")
    with subprocess.Popen(["sleep", "100"]) as other:
        before = os.sched_getaffinity(other.pid)
        try:
            done = subprocess.run(
                [sys.executable, "-c", ATTEMPTS, str(scratch), str(other.pid), str(int(request.param)), str(DISK_BYTES)],
                cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
                timeout=60,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            made = json.loads(done.stdout.splitlines()[-1])
            made["is_same"] = (
                os.sched_getaffinity(other.pid),
                os.getpriority(os.PRIO_PROCESS, other.pid),
            ) == (before, 0)
            made["policy"] = os.sched_getscheduler(other.pid)
            made["left"] = os.listdir(scratch)
        finally:
            other.kill()
    return made


@needs_landlock
def test_another_process_is_neither_slowed_nor_limited(beside: dict[str, Any]) -> None:
    assert beside["is_same"]
    assert beside["policy"] == os.SCHED_OTHER
    assert beside["found"]["limits of another"] == 1
    # The calls say that they worked: a library that means one of its threads goes on.
    for name in ("processors of another", "priority of another", "policy of another"):
        assert beside["found"][name] is None


@needs_landlock
def test_it_may_change_itself(beside: dict[str, Any]) -> None:
    assert [
        beside["found"][name] for name in ("own processors", "own limits", "own child", "flags of a pipe")
    ] == [None] * 4
    assert beside["found"]["own priority"] == 0


@needs_landlock
def test_nothing_of_it_gets_out_of_its_tree_and_nothing_wakes_it(beside: dict[str, Any]) -> None:
    for name in ("child of the parent", "no longer adopt", "timer of any signal", "any signal of a pipe"):
        assert beside["found"][name] == 1, name


@needs_landlock
def test_its_disk_ends_where_it_should_and_is_gone_afterwards(beside: dict[str, Any]) -> None:
    if "namespaces" in beside["layers"]:
        assert beside["found"]["fill the disk"] in (27, 28)  # the file is too large, or the disk is full
        assert beside["left"] == []
    else:
        assert beside["found"]["fill the disk"] == 27


@needs_landlock
def test_all_layers_are_in_force_with_what_was_ready_and_without(beside: dict[str, Any]) -> None:
    assert {"capabilities", "privileges", "files", "calls", "limits"} <= set(beside["layers"])
    assert set(beside["found"]["descriptors"]) <= {0, 1, 2, 3}  # the last one lists them


def test_a_kernel_that_leaves_signals_open_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jail, "_close_files", lambda *_: None)
    monkeypatch.setattr(jail, "_threads", lambda: 1)  # this process, which enters nothing here, may have more
    monkeypatch.setattr(jail.landlock, "version", lambda: 3)
    entered = jail.enter(jail.Jail(), ("files",))
    assert entered.layers == ("files",)
    assert entered.missing == {"signals": "the kernel offers Landlock 3, and needs 6 for them"}


def test_what_was_ready_can_be_closed_twice() -> None:
    ready = spare.make_spare()
    held = ready.descriptors
    ready.close()
    ready.close()
    for descriptor in held:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


def test_descriptors_between_those_that_are_kept_are_closed() -> None:
    code = (
        "import os\nfrom bench.machine.kernel import close_all_but\n"
        "made = [os.open('/dev/null', os.O_RDONLY) for _ in range(9)]\n"
        "close_all_but((0, 1, 2, made[3], made[6], -1))\n"
        "print([number for number in made if os.path.exists(f'/proc/self/fd/{number}')] == [made[3], made[6]])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    assert kernel.libc() is kernel.libc()


def test_conditions_are_of_calls_that_are_not_forbidden_anyway() -> None:
    for column in (0, 1):
        forbidden = {both[column] for both in seccomp.FORBIDDEN.values()}
        numbers = [condition.numbers[column] for condition in seccomp.CONDITIONS.values()]
        assert forbidden.isdisjoint(numbers)
        assert len(numbers) == len(set(numbers))
