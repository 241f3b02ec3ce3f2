"""The jail: what a process can still do in it, and what not, tried in one that has entered it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.machine import jail, landlock, seccomp
from bench.machine.visible import without

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
# Tries everything in the jail and prints what came of it: null, or the name of the error.
ATTEMPTS = """
import ctypes, json, mmap, multiprocessing.shared_memory, os, signal, socket, subprocess, sys, tempfile, threading
from pathlib import Path
from bench.machine import jail, landlock, seccomp, spare

scratch, readable, user, layers, port, other = sys.argv[1:]
layers, port, other = json.loads(layers), int(port), int(other)
spare.installed()
if int(user):
    os.setgid(int(user)), os.setuid(int(user))
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as a program that this user started
allowed = {"readable": (Path(readable),), "writable": (Path(scratch),)}
entered = jail.enter(jail.Jail(descriptors=64, file_bytes=1 << 20, **allowed), layers)
libc = ctypes.CDLL(None, use_errno=True)

def call(name):
    number = seccomp.FORBIDDEN[name][0 if os.uname().machine == "x86_64" else 1]
    if libc.syscall(number, 0, 0, 0, 0, 0) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))

def listen():
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        own.listen()
        socket.create_connection(own.getsockname(), 5).close()

def share():
    memory = multiprocessing.shared_memory.SharedMemory(create=True, size=100)
    memory.close(), memory.unlink()

def thread():
    one = threading.Thread(target=int)
    one.start(), one.join()

def new_user():
    if libc.unshare(0x10000000) < 0:
        raise PermissionError

attempts = {
    "write scratch": lambda: Path(scratch, "a").write_text("a"),
    "read scratch": lambda: Path(scratch, "a").read_text(),
    "read readable": lambda: Path(readable, "model.txt").read_text(),
    "write readable": lambda: Path(readable, "more.txt").write_text("a"),
    "read beside": lambda: Path(readable).with_name("secret.txt").read_text(),
    "write tmp": lambda: Path("/tmp", f"jail-{os.getpid()}").write_text("a"),
    "read hashes": lambda: Path("/etc/shadow").read_text(),
    "read users": lambda: Path("/etc/passwd").read_text(),
    "list processes": lambda: os.listdir("/proc"),
    "read own status": lambda: Path("/proc/self/status").read_text(),
    "read memory of machine": lambda: Path("/proc/meminfo").read_text(),
    "read command of other": lambda: Path(f"/proc/{other}/cmdline").read_bytes(),
    "signal other": lambda: os.kill(other, 0),
    "signal self": lambda: os.kill(os.getpid(), 0),
    "connect out": lambda: socket.create_connection(("127.0.0.1", port), 5),
    "connect to self": listen,
    "share memory": share,
    "start thread": thread,
    "start program": lambda: subprocess.run(["/bin/true"], check=True),
    "map memory": lambda: mmap.mmap(-1, 1 << 20).close(),
    "new namespace": new_user,
    "ptrace": lambda: call("ptrace"),
    "bpf": lambda: call("bpf"),
    "io_uring_setup": lambda: call("io_uring_setup"),
    "mount": lambda: call("mount"),
    "temporary file": lambda: tempfile.TemporaryFile(dir=scratch).close(),
    "write much": lambda: Path(scratch, "big").write_bytes(bytes(2 << 20)),
    "open many": lambda: [open("/dev/null") for _ in range(100)],
}
found = {}
for name, attempt in attempts.items():
    try:
        attempt()
        found[name] = None
    except Exception as error:
        found[name] = f"{type(error).__name__} {getattr(error, 'errno', '')}".strip()
print(json.dumps({"layers": entered.layers, "missing": entered.missing, "found": found}))
"""
ALLOWED = {
    "write scratch", "read scratch", "read readable", "read users", "read own status", "read memory of machine",
    "signal self", "start thread", "start program", "map memory", "temporary file",
}  # fmt: skip
WITH_NAMESPACES = {"connect to self", "share memory"}

needs_landlock = pytest.mark.skipif(landlock.version() < 6, reason="this kernel lacks Landlock 6")


def tried(folder: Path, user: int = 0, layers: tuple[str, ...] = jail.LAYERS) -> dict[str, Any]:
    """Return what a jailed process could do, in a folder that everybody may enter."""
    scratch, readable = folder / "scratch", folder / "readable"
    for made in (scratch, readable):
        made.mkdir(parents=True)
        made.chmod(0o777)
    (readable / "model.txt").write_text("weights")
    (folder / "secret.txt").write_text("key")
    for parent in (folder, *list(folder.parents)[:-2]):
        parent.chmod(parent.stat().st_mode | 0o5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = subprocess.run(
            [
                sys.executable, "-c", ATTEMPTS, str(scratch), str(readable), str(user), json.dumps(layers),
                str(server.getsockname()[1]), str(os.getpid()),
            ],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def jailed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return tried(tmp_path_factory.mktemp("jail"))


@needs_landlock
def test_nothing_but_what_is_allowed_can_be_done_in_a_jail(jailed: dict[str, Any]) -> None:
    allowed = ALLOWED | (WITH_NAMESPACES if "namespaces" in jailed["layers"] else set())
    assert {name for name, error in jailed["found"].items() if error is None} == allowed
    assert {"capabilities", "privileges", "files", "calls", "limits"} <= set(jailed["layers"])


@needs_landlock
def test_what_is_refused_is_refused_as_not_permitted(jailed: dict[str, Any]) -> None:
    refused = {name: error for name, error in jailed["found"].items() if error is not None}
    others = {
        "open many": "OSError 24",
        "write much": "OSError 27",
        "connect out": "ConnectionRefusedError 111",
    }
    for name, error in refused.items():
        assert error.startswith(("PermissionError", others.get(name, "PermissionError"))), (name, error)


@needs_landlock
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_user_without_rights_is_jailed_too(tmp_path: Path) -> None:
    found = tried(tmp_path, NOBODY)
    refused = {name for name, error in found["found"].items() if error is not None}
    assert refused.isdisjoint(ALLOWED - {"start program", "start thread"}), found
    assert {"read beside", "signal other", "read hashes", "connect out", "ptrace", "new namespace"} <= refused


WITH_A_THREAD = """
import json, threading
from bench.machine import jail

waits = threading.Event()
threading.Thread(target=waits.wait, daemon=True).start()
entered = jail.enter(jail.Jail(), ["privileges", "calls"])
print(json.dumps([entered.layers, entered.missing]))
"""


def test_a_process_with_threads_is_in_no_jail_since_they_would_stay_outside() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITH_A_THREAD], cwd=ROOT, capture_output=True, text=True, check=True
    )
    layers, missing = json.loads(done.stdout)
    assert layers == []
    assert missing == dict.fromkeys(
        ("privileges", "calls"), "the process has 2 threads, and a jail holds one"
    )


def test_a_layer_that_is_refused_is_named_and_the_others_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(jail.namespaces, "leave", refuse)
    monkeypatch.setattr(jail, "_threads", lambda: 1)  # this process, which enters nothing here, may have more
    monkeypatch.setattr(jail.namespaces, "drop_capabilities", lambda: None)
    entered = jail.enter(jail.Jail(), ("namespaces", "capabilities"))
    assert entered.layers == ("capabilities",)
    assert entered.missing == {"namespaces": "Operation not permitted"}


@pytest.mark.skipif(landlock.version() == 0, reason="this kernel lacks Landlock")
def test_layers_that_nobody_asked_for_are_neither_in_force_nor_missing(tmp_path: Path) -> None:
    found = tried(tmp_path, layers=("privileges", "files"))
    assert (found["layers"], found["missing"]) == (["privileges", "files"], {})
    assert found["found"]["read beside"] == "PermissionError 13"
    assert found["found"]["write much"] is None


def test_calls_are_known_on_the_two_usual_architectures() -> None:
    for name, (ours, theirs) in seccomp.FORBIDDEN.items():
        assert ours is not None or theirs is not None, name
    for column in (0, 1):
        numbers = [both[column] for both in seccomp.FORBIDDEN.values() if both[column] is not None]
        assert len(numbers) == len(set(numbers))


def test_an_unknown_architecture_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp.platform, "machine", lambda: "s390x")
    seccomp._program.cache_clear()
    with pytest.raises(OSError, match="system calls of s390x are not known"):
        seccomp.restrict()
    seccomp._program.cache_clear()
    assert not seccomp.supported()


def test_what_is_hidden_is_left_out_of_a_folder_around_it(tmp_path: Path) -> None:
    for name in (
        "project/pipelines/a.py",
        "project/zoo/m.bin",
        "project/out/run/images.npz",
        "project/out/notes.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    project = tmp_path / "project"
    assert without([project], []) == [project]
    assert without([project, project / "zoo"], [project / "out/run"]) == [
        project / "out/notes.txt", project / "pipelines", project / "zoo",
    ]  # fmt: skip
    assert without([project / "out/run"], [project / "out"]) == []
    assert without([tmp_path / "missing"], []) == []
