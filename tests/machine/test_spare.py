"""What a fork server has ready for a jail: used where it still suits, made again where something has changed since."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.machine import landlock, namespaces

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(
    landlock.version() == 0 or not namespaces.may_administer() or not namespaces.may_return(),
    reason="only root makes namespaces beforehand, on a kernel with Landlock",
)
BEGIN = """
import ctypes, os, sys
from pathlib import Path
from bench.machine import jail, namespaces, spare
from bench.machine.kernel import libc

folder = Path(sys.argv[1])
place, covered, scratch = folder / "place", folder / "covered", folder / "scratch"
for made in (place, covered, scratch):
    made.mkdir()
(place / "model").write_text("old")
(covered / "socket").write_text("")
asked = jail.Jail((str(place / "model"),), (str(scratch),), covered=(str(covered),), disk_bytes=2**20)

def namespaces_now():
    return [os.readlink(f"/proc/self/ns/{name}") for name in ("net", "ipc", "mnt")]

def tried(action):
    child = ready.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    status = 1
    try:
        entered = jail.enter(asked, spare=ready)
        assert entered.missing.keys() <= {"processes"}, entered
        action()
        status = 0
    finally:
        os._exit(status)

def reads():
    assert (place / "model").read_text() == "new"

def sees_nothing():
    assert os.stat(covered).st_dev != os.stat(folder).st_dev

before = namespaces_now(), os.getcwd(), os.stat("/").st_ino
ready = spare.make_spare(asked.readable, asked.own, numbers=True)
assert ready.ready.own == asked.own
assert (namespaces_now(), os.getcwd(), os.stat("/").st_ino) == before
"""


def run(tmp_path: Path, code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{BEGIN}{code}\nready.close()", str(tmp_path)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_what_suits_is_kept(tmp_path: Path) -> None:
    run(
        tmp_path,
        "rules = ready.rules\nready.suit(asked.readable, asked.own, numbers=True)\n"
        "assert ready.rules is rules and ready.ready.own == asked.own and tried(sees_nothing)",
    )


def test_a_file_that_was_replaced_since_is_read(tmp_path: Path) -> None:
    replaced = "(place / 'next').write_text('new')\n(place / 'next').rename(place / 'model')\n"
    run(
        tmp_path,
        replaced
        + "assert not tried(reads)\nready.suit(asked.readable, asked.own, numbers=True)\nassert tried(reads)",
    )


def test_what_another_jail_reads_stays_closed(tmp_path: Path) -> None:
    code = """
(place / "other").write_text("new")
ready.suit([str(place / "other")], asked.own)
asked = jail.Jail((str(place / "other"),), (str(scratch),), covered=(str(covered),), disk_bytes=2**20)
def closed():
    assert (place / "other").read_text() == "new"
    try:
        (place / "model").read_text()
    except PermissionError:
        return
    raise AssertionError
assert tried(closed)
"""
    run(tmp_path, code)


def test_mounts_for_another_jail_are_made_again(tmp_path: Path) -> None:
    code = """
other = folder / "other"
other.mkdir()
asked = jail.Jail((), (str(scratch),), covered=(str(other),), disk_bytes=2**20)
ready.suit(asked.readable, asked.own, numbers=True)
assert ready.ready.own is None and ready.ready.network is not None
def covers_the_other_alone():
    assert os.stat(other).st_dev != os.stat(folder).st_dev == os.stat(covered).st_dev
assert tried(covers_the_other_alone)
"""
    run(tmp_path, code)


def test_a_disk_without_a_limit_is_bound_from_the_mounts_of_the_machine(tmp_path: Path) -> None:
    code = """
(scratch / "mine").write_text("new")
asked = jail.Jail((), (str(scratch),), covered=(str(folder),))
ready.suit(asked.readable, asked.own, numbers=True)
def finds():
    assert (scratch / "mine").read_text() == "new"
assert tried(finds)
"""
    run(tmp_path, code)


def test_what_is_mounted_since_is_seen(tmp_path: Path) -> None:
    code = """
ready.close()
assert libc().unshare(0x20000) == 0
assert libc().mount(None, b"/", None, ctypes.c_ulong(0x4000 | 1 << 18), None) == 0
ready = spare.make_spare(asked.readable, asked.own)
assert ready.ready.suits(asked.own)
assert libc().mount(b"tmpfs", str(place).encode(), b"tmpfs", ctypes.c_ulong(0), None) == 0
(place / "model").write_text("new")
ready.suit(asked.readable, asked.own, numbers=True)
assert ready.ready.own is None
assert tried(reads)
"""
    run(tmp_path, code)


def test_a_covered_folder_that_was_made_again_is_covered_again(tmp_path: Path) -> None:
    code = """
(covered / "socket").unlink()
covered.rmdir()
covered.mkdir()
ready.suit(asked.readable, asked.own, numbers=True)
assert ready.ready.own is not None
assert tried(sees_nothing)
"""
    run(tmp_path, code)


def test_rules_that_could_only_be_filled_in_part_are_not_used(tmp_path: Path) -> None:
    code = """
from bench.machine.landlock import Ruleset
allow = Ruleset.allow
def refuse(rules, *places):
    allow(rules, *places)
    raise OSError(12, "Cannot allocate memory")
Ruleset.allow = refuse
try:
    ready.suit([], asked.own, numbers=True)
    raise AssertionError
except OSError:
    assert ready.rules is None
Ruleset.allow = allow
(place / "model").write_text("new")
assert tried(reads)
"""
    run(tmp_path, code)


PROC = """
def sees_itself():
    assert os.readlink("/proc/self") == str(os.getpid())
    assert Path("/proc/cpuinfo").read_text() and Path(f"/proc/{os.getpid()}/stat").read_text()
    for hidden in ("/proc/1/stat", "/proc", "/proc/keys"):
        try:
            os.listdir(hidden) if hidden == "/proc" else Path(hidden).read_text()
        except PermissionError:
            continue
        raise AssertionError(hidden)
if ready.first is None:
    sys.exit()
"""


def test_a_process_of_its_own_numbers_sees_itself(tmp_path: Path) -> None:
    run(tmp_path, PROC + "assert tried(sees_itself)")


def test_mounts_that_show_a_namespace_that_has_ended_are_dropped(tmp_path: Path) -> None:
    code = """
ended = ready.first.pid
ready.drop_first()
os.waitpid(ended, 0)
ready.suit(asked.readable, asked.own, numbers=True)
assert ready.first is not None and ready.shown is None
assert tried(sees_itself)
"""
    run(tmp_path, PROC + code)


def test_a_jail_without_numbers_of_its_own_sees_itself_in_the_mounts_of_the_machine(tmp_path: Path) -> None:
    code = """
ready.suit(asked.readable, asked.own)
assert ready.first is None and ready.shown is None
outside = os.getpid()
def has_a_number_of_the_machine():
    sees_itself()
    assert os.getppid() == outside
assert tried(has_a_number_of_the_machine)
"""
    run(tmp_path, PROC + code)


def test_rules_that_are_made_again_allow_the_proc_that_is_shown(tmp_path: Path) -> None:
    code = """
(place / "next").write_text("new")
(place / "next").rename(place / "model")
ready.suit(asked.readable, asked.own, numbers=True)
assert not ready.allows_shown
assert tried(lambda: (reads(), sees_itself()))
"""
    run(tmp_path, PROC + code)


def test_what_cannot_be_forked_into_its_namespace_is_forked_without_one(tmp_path: Path) -> None:
    code = """
os.kill(ready.first.pid, 9)
os.waitid(os.P_PID, ready.first.pid, os.WEXITED | os.WNOWAIT)
assert tried(sees_itself)
assert ready.first is None and ready.why_no_first == "Cannot allocate memory"
"""
    run(tmp_path, PROC + code)
