"""Whatever a pipeline file does, its arm dies alone, and the reason names what was found and what to do."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

import pytest
from arms import (
    PAINTER,
    SAMPLES,
    ArmStarter,
    assert_explains,
    assert_works,
    generating,
    is_gone,
    load_and_generate,
    wait_until,
)

from bench.core.errors import ArmProblem

SMALL_MEMORY = 2**28
# Finds the channel to the evaluator as an attacker would.
CHANNEL = """
import json, os, signal, struct, time
channel = next(
    int(name) for name in os.listdir("/proc/self/fd")
    if os.path.exists(f"/proc/self/fd/{name}") and "socket" in os.readlink(f"/proc/self/fd/{name}")
)
"""


@pytest.fixture
def fail(arm_starter: ArmStarter) -> Callable[..., ArmProblem]:
    """Run a file until its arm fails; return why, having seen that the next arm works."""

    def run(source: str, **limits: object) -> ArmProblem:
        with arm_starter.start(source, **limits) as arm:
            with pytest.raises(ArmProblem) as caught:
                load_and_generate(arm)
            directory = next(arm_starter.scratch.iterdir())
        assert is_gone(arm.process.pid)
        assert not directory.exists()
        assert caught.value.role == "candidate"
        assert str(caught.value).startswith("the candidate ")
        assert_works(arm_starter)
        return caught.value

    return run


# What ends an arm: source, limits, reason code, what the message says, what the last output says.
DEATHS_ON_LOADING = {
    "hangs": (
        "import time\ntime.sleep(1000)", {"load_timeout_s": 2},
        "timed_out", ["did not finish load within 2 s", "raise --load-timeout"], 'pipeline.py", line 2',
    ),
    "hangs_with_the_gil": (
        "import ctypes\nctypes.PyDLL(None).sleep(1000)", {"load_timeout_s": 2},
        "timed_out", ["did not finish load", "raise --load-timeout"], 'pipeline.py", line 2',
    ),
    "stops_itself": (
        "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", {"load_timeout_s": 2},
        "timed_out", ["did not finish load"], "",
    ),
    "sys_exit": (
        "import sys\nsys.exit(3)", {},
        "crashed", ["called sys.exit(3) during load", "expected it to return", "remove the call"], "SystemExit: 3",
    ),
    "os_exit": (
        "import os\nprint('bye')\nos._exit(7)", {},
        "crashed", ["exit code 7 during load", "expected it to go on", "remove os._exit()"], "bye",
    ),
    "segfault": (
        "import ctypes\nctypes.string_at(0)", {},
        "crashed", ["signal 11 (SIGSEGV) during load", "see its log"], 'pipeline.py", line 2',
    ),
    "abort": (
        "import os\nos.abort()", {},
        "crashed", ["signal 6 (SIGABRT) during load", "see its log"], 'pipeline.py", line 2',
    ),
    "signal_without_a_name": (
        "import os\nos.kill(os.getpid(), 40)", {}, "crashed", ["signal 40 (of no name) during load"], "",
    ),
    "uncaught": (
        "def f():\n    raise ValueError('boom')\nf()", {},
        "load_failed", ["raised during load: ValueError: boom", "see the traceback"], "in f\n    raise ValueError",
    ),
    "unprintable": (
        "class E(Exception):\n    def __str__(self): raise ValueError\nraise E", {},
        "load_failed", ["raised during load: E"], "",
    ),
    "half_a_character": (
        "raise ValueError('\\ud800 \\x1b[31m')", {}, "load_failed", ["raised during load: ValueError"], "",
    ),
    "file_next_to_it": (
        "open('settings.json')", {}, "load_failed", ["'settings.json'", "relative to __file__"], "settings.json",
    ),
    "needs_a_gpu": (
        "raise RuntimeError('This script needs a GPU.')", {},
        "load_failed", ["needs a GPU.; expected a file that chooses no device and asks for none", "to --device"], "",
    ),
    "asserts_cuda": (
        "import torch\nassert torch.cuda.is_available()", {},
        "load_failed", ["AssertionError; expected a file that chooses no device and asks for none"], "",
    ),
    "exits_without_cuda": (
        "import sys\nsys.exit('CUDA is not available')", {},
        "crashed", ["sys.exit(CUDA is not available) during load; expected a file that chooses no device"], "",
    ),
    "needs_a_variable": (
        "import os\nos.environ['HF_TOKEN']", {},
        "load_failed", ["KeyError: 'HF_TOKEN'; expected a file that needs no variables", "os.environ.get()"], "",
    ),
    "needs_a_key": ("{}['HF_TOKEN']", {}, "load_failed", ["KeyError: 'HF_TOKEN'; expected it to return"], ""),
    "syntax_error": (
        "def f(:", {}, "load_failed", ["pipeline.py, line 1", "invalid syntax", "correct that line"], "",
    ),
    "recursion": (
        "def f(): f()\nf()", {}, "load_failed", ["RecursionError"], "Previous line repeated",
    ),
    "small_objects_without_end": (
        "x = []\nwhile True: x.append(bytes(1000))", {"memory_bytes": SMALL_MEMORY},
        "out_of_memory", ["more than its limit of 0.25 GB during load", "raise --memory-limit"], "MemoryError",
    ),
    "huge_tensor": (
        "import torch\ntorch.zeros(10**9)", {"memory_bytes": SMALL_MEMORY},
        "out_of_memory", ["its limit of 0.25 GB", "raise --memory-limit", "4000000000 bytes"], "torch.zeros",
    ),
    "huge_array": (
        "import numpy\nnumpy.zeros(10**9)", {"memory_bytes": SMALL_MEMORY},
        "out_of_memory", ["its limit of 0.25 GB", "raise --memory-limit", "7.45 GiB"], "numpy.zeros",
    ),
    "closes_the_channel_and_lives": (
        "import os, time\nos.closerange(3, 1000)\ntime.sleep(1000)", {},
        "crashed", ["closed its channel", "leave descriptors alone", "remove os.close()"], "",
    ),
    "closes_the_channel_and_returns": (
        "import os\nos.closerange(3, 1000)", {}, "crashed", ["closed its channel", "remove os.close()"], "",
    ),
    "garbage": (
        f"{CHANNEL}\nos.write(channel, b'garbage garbage')\ntime.sleep(1000)", {},
        "crashed", ["sent something other than the answer to load", "over the limit", "remove what writes"], "",
    ),
    "garbage_header": (
        f"{CHANNEL}\nos.write(channel, struct.pack('!IQ', 3, 0) + b'abc')\ntime.sleep(1000)", {},
        "crashed", ["sent something other than the answer to load", "no JSON"], "",
    ),
    "deep_header": (
        f"{CHANNEL}\nos.write(channel, struct.pack('!IQ', 10**5, 0) + b'[' * 10**5)\ntime.sleep(1000)", {},
        "crashed", ["sent something other than the answer to load", "no JSON"], "",
    ),
    "absurd_length": (
        f"{CHANNEL}\nos.write(channel, struct.pack('!IQ', 9, 2**60))\ntime.sleep(1000)", {},
        "crashed", ["sent something other than the answer to load", "over the limit"], "",
    ),
    "half_a_message": (
        f"{CHANNEL}\nos.write(channel, struct.pack('!IQ', 9, 0) + b'{{')\nos._exit(5)", {},
        "crashed", ["exit code 5 during load"], "",
    ),
    "byte_by_byte": (
        f"{CHANNEL}\nos.write(channel, struct.pack('!IQ', 10**6, 0))\n"
        "while True:\n    os.write(channel, b' ')\n    time.sleep(0.2)", {"load_timeout_s": 2},
        "timed_out", ["did not finish load within 2 s"], "",
    ),
    "prepared_answer": (
        f"{CHANNEL}\ntext = json.dumps({{'ok': True, 'nonce': None, 'configuration': {{}}}}).encode()\n"
        "os.write(channel, struct.pack('!IQ', len(text), 0) + text)\ntime.sleep(1000)", {},
        "crashed", ["sent something other than the answer to load", "without the request's number"], "",
    ),
}  # fmt: skip

DEATHS_ON_GENERATING = {
    "endless_loop": (
        "while True: pass", {"round_timeout_s": 2},
        "timed_out", ["did not finish generate within 2 s", "raise --round-timeout"], "in generate",
    ),
    "sys_exit": (
        "raise SystemExit('bye')", {},
        "crashed", ["called sys.exit(bye) during generate", "remove the call"], "SystemExit: bye",
    ),
    "uncaught": (
        "raise ValueError('boom')", {},
        "generation_failed", ["raised during generate: ValueError: boom", "see the traceback"], "in generate",
    ),
    "small_objects_without_end": (
        "x = []\nwhile True: x.append(bytes(1000))", {"memory_bytes": SMALL_MEMORY},
        "out_of_memory", ["its limit of 0.25 GB during generate", "raise --memory-limit"], "MemoryError",
    ),
    "no_image": (
        "return [1, 2]", {}, "generation_failed", ["returned an int where an image was expected", "PIL images"], "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("death", DEATHS_ON_LOADING)
def test_what_ends_an_arm_on_loading_is_explained_and_ends_no_other(death, fail):
    source, limits, reason_code, message, output = DEATHS_ON_LOADING[death]
    assert_explains(fail(source, **limits), reason_code, message, output)


@pytest.mark.parametrize("death", DEATHS_ON_GENERATING)
def test_what_ends_an_arm_on_generating_is_explained_and_ends_no_other(death, fail):
    body, limits, reason_code, message, output = DEATHS_ON_GENERATING[death]
    assert_explains(fail(generating(body), **limits), reason_code, message, output)


@pytest.mark.parametrize(
    "source",
    [
        "while True: print('x' * 100)",
        "import os\nwhile True: os.write(1, b'x' * 10**5)",
        "import subprocess\nsubprocess.run(['yes'])",
        generating(
            "import os, threading\n"
            "def flood():\n    while True: os.write(2, b'x' * 10**5)\n"
            "threading.Thread(target=flood).start()\n"
            "while True: sum(range(1000))"
        ),
    ],
    ids=["print", "descriptor", "child", "while_computing"],
)
def test_a_flood_of_output_ends_the_arm_and_fills_no_disk(source, fail, tmp_path):
    problem = fail(source, output_bytes=2**20)
    assert_explains(
        problem, "output_flood", ["printed more than 1 MB", "print less or raise --output-limit"], ""
    )
    assert len(problem.output_tail) <= 4100
    sizes = [log.stat().st_size for log in (tmp_path / "logs").iterdir()]
    assert 2**20 < max(sizes) <= 2**20 + 2**16


def test_what_was_printed_cannot_be_taken_back(fail, tmp_path):
    fail("import os\nprint('found out', flush=True)\nos.ftruncate(1, 0)")
    assert any("found out" in log.read_text() for log in (tmp_path / "logs").iterdir())


def test_a_kill_from_outside_is_explained(arm_starter, tmp_path):
    marker = tmp_path / "generating"
    source = generating(f"import pathlib\npathlib.Path({str(marker)!r}).touch()\nwhile True: pass")
    with arm_starter.start(source) as arm:
        arm.load()

        def kill() -> None:
            wait_until(marker.exists)
            os.kill(arm.process.pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        with pytest.raises(ArmProblem) as caught:
            arm.generate(SAMPLES)
        killer.join()
        assert not arm.process.is_alive()
        with pytest.raises(ArmProblem, match="SIGKILL"):  # asked again, it gives the same answer
            arm.generate(SAMPLES)
    assert_explains(
        caught.value, "crashed", ["signal 9 (SIGKILL) during generate", "lower --memory-limit"], ""
    )
    assert_works(arm_starter)


def test_a_request_that_is_not_taken_times_out(arm_starter):
    with arm_starter.start() as arm:
        arm.load()
        os.kill(arm.process.pid, signal.SIGSTOP)
        with pytest.raises(ArmProblem) as caught:
            arm.process.ask({"op": "generate"}, bytes(2**24), timeout_s=1)
    assert_explains(caught.value, "timed_out", ["did not finish generate within 1 s", "--load-timeout"], "")
    assert_works(arm_starter)


def test_an_arm_survives_a_file_that_closes_its_streams(arm_starter):
    source = "import sys\nprint('last words')\nsys.stdout.close()\nsys.stdout = sys.stderr = None\n" + PAINTER
    with arm_starter.start(source) as arm:
        arm.load()
        assert len(arm.generate(SAMPLES).outputs) == 2
        assert "last words" in arm_starter.log(arm)
