"""What an arm uses while it has to wait, how many processes it has, what it writes: all of it is seen from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from arms import PAINTER, SAMPLES, ArmStarter, assert_works, generating, kept_server, load_and_generate

from bench.acceleration.host import usage
from bench.acceleration.host.failures import raised
from bench.acceleration.host.process_tree import stop_tree
from bench.core.errors import ArmProblem

# A timer of the kernel wakes it while it is stopped; only without a jail, which forbids such timers.
WAKES_ITSELF = f"""
import ctypes, signal, struct, threading

signal.signal(signal.SIGCONT, lambda *_: None)  # a signal that is ignored would come once
libc = ctypes.CDLL(None, use_errno=True)
event = ctypes.create_string_buffer(struct.pack("=Qii", 0, {int(signal.SIGCONT)}, 0), 64)
timer = ctypes.c_void_p()
assert libc.timer_create(1, event, ctypes.byref(timer)) == 0
libc.timer_settime(timer, 0, struct.pack("=4q", 0, 100_000_000, 0, 100_000_000), None)

def spin():
    while True:
        sum(range(1000))

threading.Thread(target=spin, daemon=True).start()
"""
SPINS = "import itertools\nfor _ in itertools.count():\n    pass\n"


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> ArmStarter:
    return ArmStarter(kept_server(), tmp_path_factory.mktemp("turns"))


def test_an_arm_that_computes_while_it_has_to_wait_is_an_error(starter: ArmStarter) -> None:
    with starter.start(WAKES_ITSELF + PAINTER) as arm:
        arm.load()
        arm.generate(SAMPLES)
        arm.process.pause()
        time.sleep(1)
        with pytest.raises(
            ArmProblem, match=r"used [\d.]+ s of processor time in [\d.]+ s in which it had to wait"
        ) as caught:
            arm.generate(SAMPLES)
    assert caught.value.reason_code == "out_of_turn"
    assert_works(starter)


def test_an_arm_that_waits_is_none_however_busy_it_was(starter: ArmStarter) -> None:
    busy = "import threading\nthreading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()\n"
    with starter.start(busy + PAINTER) as arm:
        arm.load()
        for _ in range(3):
            assert len(arm.generate(SAMPLES).outputs) == len(SAMPLES)
            arm.process.pause()
            time.sleep(0.05)


def test_a_process_that_is_stopped_stands_still_and_one_that_goes_on_is_seen() -> None:
    with subprocess.Popen([sys.executable, "-c", SPINS]) as process:
        try:
            stop_tree(process.pid)
            before = usage.settled(process.pid)
            time.sleep(0.05)
            assert usage.used_meanwhile(process.pid, before) is None
            os.kill(process.pid, signal.SIGCONT)
            deadline = time.monotonic() + 60
            while (
                found := usage.used_meanwhile(process.pid, before)
            ) is None and time.monotonic() < deadline:
                time.sleep(0.01)
            assert found is not None
            assert 0 < found[0] <= found[1]
        finally:
            process.kill()


def test_too_many_processes_end_an_arm(starter: ArmStarter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "MAX_TASKS", 8)
    many = "import subprocess\nfor _ in range(12):\n    subprocess.Popen(['sleep', '100'])\n"
    with (
        starter.start(generating(many)) as arm,
        pytest.raises(
            ArmProblem, match=r"had \d+ processes and threads during \w+ and was killed; expected 8"
        ),
    ):
        load_and_generate(arm)


@pytest.mark.parametrize("last", ["raise BlockingIOError(11, 'Resource temporarily unavailable')", "1 / 0"])
def test_what_an_arm_raises_with_too_many_processes_is_blamed_on_them(
    last: str, starter: ArmStarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "MAX_TASKS", 8)
    many = f"import subprocess\nfor _ in range(12):\n    subprocess.Popen(['sleep', '100'])\n{last}\n"
    with (
        starter.start(generating(many)) as arm,
        pytest.raises(
            ArmProblem, match=r"had \d+ processes and threads during \w+ and was killed; expected 8"
        ),
    ):
        load_and_generate(arm)


@pytest.mark.parametrize(
    "last",
    [
        "raise BlockingIOError(11, 'Resource temporarily unavailable')",
        'raise RuntimeError("can\'t start new thread")',
        "import os\nos.write(2, b'pthread_create failed for thread 3 of 4\\n')\nos.abort()",
    ],
)
def test_processes_that_are_gone_again_are_named_by_what_the_kernel_said(
    last: str, starter: ArmStarter
) -> None:
    with (
        starter.start(generating(last + "\n")) as arm,
        pytest.raises(
            ArmProblem, match=r"expected 1024 processes and threads at most; start fewer"
        ) as caught,
    ):
        load_and_generate(arm)
    assert caught.value.reason_code == "generation_failed"


def test_what_is_written_is_counted_where_no_disk_of_its_own_limits_it(starter: ArmStarter) -> None:
    writes = "with open('much', 'wb') as file:\n    file.write(bytes(3 * 2**20))\n"
    with starter.start(generating(writes), disk_bytes=2**21) as arm:
        arm.load()
        with pytest.raises(ArmProblem, match=r"wrote more than 0.00195 GB .* raise --disk-limit"):
            arm.generate(SAMPLES)


def test_a_folder_is_as_large_as_its_files(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c").write_bytes(bytes(2**20))
    (tmp_path / "link").symlink_to("/usr")
    assert 2**20 <= usage.bytes_below(tmp_path, 2**30) < 2**21
    assert usage.bytes_below(tmp_path / "missing", 2**30) == 0


def test_too_many_files_are_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "_MAX_FILES", 3)
    for number in range(5):
        (tmp_path / str(number)).touch()
    assert usage.bytes_below(tmp_path, 100) > 100


def test_two_launches_share_no_folder(starter: ArmStarter) -> None:
    factory = starter.factory()
    with factory.start("candidate", "same") as one, factory.start("candidate", "same") as other:
        folders = {os.readlink(f"/proc/{process.pid}/cwd") for process in (one, other)}
        assert len(folders) == 2
    assert not any(Path(folder).exists() for folder in folders)


FULL = {"type": "OSError", "message": "[Errno 28] No space left on device"}


@pytest.mark.parametrize(
    ("given", "code", "fragment"),
    [
        ({}, "disk_full", "expected room in TMPDIR"),
        ({"disk_bytes": 2**30}, "generation_failed", "wrote more than 1 GB into its directory"),
        ({"has_room": True}, "generation_failed", "raised during generate"),
    ],
    ids=["full", "of its own", "only said"],
)
def test_only_a_disk_that_is_full_ends_the_run(given: dict[str, object], code: str, fragment: str) -> None:
    failure = raised("generate", FULL, None, **given)
    assert failure.reason_code == code
    assert fragment in failure.message


def test_an_error_without_a_text_has_one() -> None:
    assert raised("load", {"is_usage": True}, None).message.startswith("refused load and did not say why")
