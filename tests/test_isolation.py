"""A pipeline file can do what it likes: its arm dies alone, leaves nothing, sees no secret, and can be paused."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from arms import (
    LIMIT_S,
    PAINTER,
    REPOSITORY,
    SAMPLES,
    SECRETS,
    SERVER_WITHOUT_IMPORTS,
    ArmStarter,
    generating,
)
from arms import (
    fork_server as running_fork_server,
)

from bench.acceleration.descendants import children, tree
from bench.acceleration.pipeline_arm import PipelineArm
from bench.errors import ArmProblem
from bench.measure.scrub import scrubbed_environment

SMALL_MEMORY = 2**28
# Finds the channel to the evaluator as an attacker would.
CHANNEL = """
import json, os, signal, struct, time
channel = next(
    int(name) for name in os.listdir("/proc/self/fd")
    if os.path.exists(f"/proc/self/fd/{name}") and "socket" in os.readlink(f"/proc/self/fd/{name}")
)
"""
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


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for what happens soon; the limit only ends a test that would otherwise hang."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def is_dead(pid: int) -> bool:
    """Whether the process is gone, or a zombie of a parent that is no process of ours."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def printed_pids(log: str) -> list[int]:
    line = next(line for line in log.splitlines() if line.startswith("pids"))
    return [int(pid) for pid in line.split()[1:]]


def assert_works(starter: ArmStarter) -> None:
    """The next arm of the same server loads and generates."""
    with starter.start() as arm:
        arm.load()
        assert [image.shape for image in arm.generate(SAMPLES).images] == [(8, 8, 3)] * 2


@pytest.fixture
def fail(arm_starter: ArmStarter) -> Callable[..., ArmProblem]:
    """Run a file until its arm fails; return why, having seen that the next arm works."""

    def run(source: str, **limits: object) -> ArmProblem:
        with arm_starter.start(source, **limits) as arm:
            with pytest.raises(ArmProblem) as caught:
                arm.load()
                arm.generate(SAMPLES)
            directory = next(arm_starter.scratch.iterdir())
        assert is_gone(arm.process.pid)
        assert not directory.exists()
        assert caught.value.role == "candidate"
        assert str(caught.value).startswith("the candidate ")
        assert_works(arm_starter)
        return caught.value

    return run


@pytest.fixture
def bare_server() -> Iterator[subprocess.Popen]:
    """A fork server of the test's own, without the imports that make one slow: for files that never reach torch."""
    with tempfile.TemporaryDirectory(prefix="modelgate-", dir="/tmp") as directory:
        address = Path(directory) / "fork"
        with running_fork_server(address, SERVER_WITHOUT_IMPORTS) as server:
            server.address = str(address)
            yield server


@pytest.fixture
def bare_starter(bare_server: subprocess.Popen, tmp_path: Path) -> ArmStarter:
    return ArmStarter(bare_server.address, tmp_path)


def load_in_vain(arm: PipelineArm) -> ArmProblem:
    """Load a file that defines no pipeline; its arm lives on."""
    with pytest.raises(ArmProblem) as caught:
        arm.load()
    return caught.value


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
        "crashed", ["sent something else than the answer to load", "over the limit", "remove what writes"], "",
    ),
    "garbage_header": (
        f"{CHANNEL}\nos.write(channel, struct.pack('!IQ', 3, 0) + b'abc')\ntime.sleep(1000)", {},
        "crashed", ["sent something else than the answer to load", "no JSON"], "",
    ),
    "deep_header": (
        f"{CHANNEL}\nos.write(channel, struct.pack('!IQ', 10**5, 0) + b'[' * 10**5)\ntime.sleep(1000)", {},
        "crashed", ["sent something else than the answer to load", "no JSON"], "",
    ),
    "absurd_length": (
        f"{CHANNEL}\nos.write(channel, struct.pack('!IQ', 9, 2**60))\ntime.sleep(1000)", {},
        "crashed", ["sent something else than the answer to load", "over the limit"], "",
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
        "crashed", ["sent something else than the answer to load", "without the request's number"], "",
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
        "return [1, 2]", {}, "generation_failed", ["raised during generate: TypeError", "PIL images"], "",
    ),
}  # fmt: skip


def assert_explains(problem: ArmProblem, reason_code: str, message: list[str], output: str) -> None:
    assert problem.reason_code == reason_code, problem
    for part in message:
        assert part in str(problem)
    assert output in problem.output_tail
    assert "/bench/" not in problem.output_tail  # the file's frames, not the suite's
    f"{problem} {problem.output_tail}".encode()  # no half characters


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
        assert len(arm.generate(SAMPLES).images) == 2
        assert "last words" in arm_starter.log(arm)


def test_descendants_end_with_their_arm(bare_server, bare_starter):
    with bare_starter.start(LEAVES_PROCESSES) as arm:
        load_in_vain(arm)
        pids = printed_pids(bare_starter.log(arm))
        assert sorted(tree(arm.process.pid)) == sorted(pids)
        directory = next(bare_starter.scratch.iterdir())
    assert all(map(is_gone, pids))
    assert not children(bare_server.pid)
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
def test_descendants_end_with_an_arm_that_ends_by_itself(ending, bare_server, bare_starter):
    with bare_starter.start(LEAVES_PROCESSES + ending) as arm:
        load_in_vain(arm)
        pids = printed_pids(bare_starter.log(arm))
    assert all(map(is_gone, pids))
    assert not children(bare_server.pid)


def test_descendants_that_an_arm_gives_away_do_not_outlive_it_unseen(bare_server, bare_starter):
    gives_away = "import ctypes; ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)\n"
    with bare_starter.start(gives_away + LEAVES_PROCESSES) as arm:
        load_in_vain(arm)
        own, child, given_away = printed_pids(bare_starter.log(arm))
        wait_until(lambda: is_gone(given_away))
        assert not is_gone(own)
        assert not is_gone(child)


def test_arms_end_with_their_evaluator(bare_server, bare_starter, tmp_path):
    (tmp_path / "evaluator").mkdir()
    program = f"""
    import sys, time
    sys.path[:0] = [{str(REPOSITORY)!r}, {str(REPOSITORY / "tests")!r}]
    from pathlib import Path
    from arms import ArmStarter
    starter = ArmStarter({bare_server.address!r}, Path({str(tmp_path / "evaluator")!r}))
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
    assert bare_server.poll() is None


def test_arms_end_with_the_fork_server(bare_server, bare_starter):
    with bare_starter.start(LEAVES_PROCESSES) as arm:
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
        problem, "crashed", ["the fork server that would know is gone", "logs/forkserver.log"], ""
    )


def test_the_fork_server_ends_with_its_parent(tmp_path):
    program = f"""
    import subprocess, sys, time
    command = {SERVER_WITHOUT_IMPORTS!r}
    server = subprocess.Popen([*command, sys.argv[1]], cwd={str(REPOSITORY)!r}, stdout=subprocess.PIPE)
    server.stdout.readline()
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
        with starter.start(LEAVES_PROCESSES) as arm:
            load_in_vain(arm)
            pids = printed_pids(starter.log(arm))
            parent.kill()
            wait_until(lambda: is_dead(server))
            assert all(map(is_gone, pids))


def test_the_fork_server_outlives_misbehaving_clients(bare_server, bare_starter):
    def connect() -> socket.socket:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.connect(bare_server.address)
        client.settimeout(LIMIT_S)
        return client

    opened = set(os.listdir(f"/proc/{bare_server.pid}/fd"))
    with connect() as silent, connect() as slow:
        slow.sendall(b'{"kind":')
        for said in (b"garbage\n", b"[1]\n", b"[" * 10**5 + b"\n", b"{}\n", b"\xff\n", b"x" * (2**20 + 1)):
            with connect() as client:
                client.sendall(said)
                assert b"expected" in client.recv(4096)
        with connect() as client:
            client.sendall(b"{}")
        # An arm beside them starts as ever, although the silent one was there first.
        with bare_starter.start("1 / 0") as arm:
            assert_explains(load_in_vain(arm), "load_failed", ["ZeroDivisionError"], "1 / 0")
        assert silent.fileno() >= 0
    with bare_starter.start("1 / 0") as arm:
        load_in_vain(arm)
    wait_until(lambda: set(os.listdir(f"/proc/{bare_server.pid}/fd")) == opened)


def test_the_fork_server_leaves_ctrl_c_to_the_run(bare_server, bare_starter):
    bare_server.send_signal(signal.SIGINT)
    with bare_starter.start("raise KeyboardInterrupt") as arm:
        assert_explains(load_in_vain(arm), "load_failed", ["KeyboardInterrupt"], "")


def test_a_fork_server_that_is_gone_is_named(tmp_path):
    with pytest.raises(ArmProblem) as caught, ArmStarter(str(tmp_path / "nothing"), tmp_path).start():
        pass
    assert_explains(
        caught.value, "internal_error", ["not started by the fork server", "logs/forkserver.log"], ""
    )
    assert not list((tmp_path / "scratch").iterdir())


def test_a_large_environment_arrives_whole(bare_server, tmp_path):
    large = {"LARGE": "x" * 300_000}
    starter = ArmStarter(bare_server.address, tmp_path, environment=large)
    with starter.start("import os\nprint(len(os.environ['LARGE']))") as arm:
        load_in_vain(arm)
        assert "300000" in starter.log(arm)


LOOKS_AROUND = """
import ctypes, json, os, sys, tempfile
import beside
import torch

def getenv(name):
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_char_p
    return (libc.getenv(name.encode()) or b"").decode()

print("seen", json.dumps({
    "environment": dict(os.environ),
    "native_environment": {name: getenv(name) for name in ("HOME", "HF_TOKEN", "WANTED")},
    "first_environment": open("/proc/self/environ").read(),
    "home": os.path.expanduser("~"),
    "temporary": tempfile.gettempdir(),
    "cwd": os.getcwd(),
    "stdin": sys.stdin.read() + os.read(0, 10).decode(),
    "descriptors": {
        name: os.readlink(f"/proc/self/fd/{name}")
        for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")
    },
    "processors": sorted(os.sched_getaffinity(0)),
    "threads": torch.get_num_threads(),
    "arguments": sys.argv,
    "beside": beside.__file__,
}))
print("on stderr", file=sys.stderr)
os.system("echo from a shell; ls /proc/self/fd | wc -l")
"""


@pytest.fixture(scope="module")
def look(fork_server: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, PipelineArm, str]:
    """What a file sees from inside, its arm (which has ended) and its log."""
    environment = scrubbed_environment(
        dict(os.environ) | SECRETS | {"HOME": "/home/somebody", "HF_HOME": "", "WANTED": "yes"}, ("WANTED",)
    )
    starter = ArmStarter(fork_server, tmp_path_factory.mktemp("look"), environment)
    with starter.start(LOOKS_AROUND + PAINTER) as arm:
        (arm.file.parent / "beside.py").touch()
        arm.load()
        log = starter.log(arm)
    return json.loads(log.splitlines()[0].removeprefix("seen")), arm, log


def test_secrets_are_not_visible(look):
    seen, _, log = look
    assert "HF_TOKEN" not in seen["environment"]
    assert seen["native_environment"]["HF_TOKEN"] == ""
    assert not any(secret in log for secret in SECRETS.values())


def test_a_named_variable_is_passed_on(look):
    seen, _, _ = look
    assert seen["environment"]["WANTED"] == seen["native_environment"]["WANTED"] == "yes"


def test_home_and_temporary_and_working_directory_are_the_private_one(look):
    seen, arm, _ = look
    private = seen["cwd"]
    assert Path(private).name == f"{arm.file.parent.name}.candidate.{os.getpid()}"
    for found in (
        seen["home"],
        seen["temporary"],
        seen["environment"]["HOME"],
        seen["environment"]["TMPDIR"],
    ):
        assert found == private
    assert seen["native_environment"]["HOME"] == private


def test_model_caches_are_the_real_ones(look):
    seen, _, _ = look
    assert seen["environment"]["HF_HOME"] == "/home/somebody/.cache/huggingface"
    assert seen["environment"]["TORCH_HOME"] == "/home/somebody/.cache/torch"


def test_stdin_is_empty(look):
    assert look[0]["stdin"] == ""


def test_stdout_and_stderr_are_in_the_log(look):
    assert {"on stderr", "from a shell"} <= set(look[2].splitlines())


def test_the_only_descriptors_are_the_streams_and_the_channel(look):
    seen, _, log = look
    descriptors = seen["descriptors"]
    channel = (set(descriptors) - {"0", "1", "2"}).pop()
    assert set(descriptors) == {"0", "1", "2", channel}
    assert descriptors["0"] == "/dev/null"
    assert descriptors["1"] == descriptors["2"]
    assert descriptors["1"].startswith("pipe:")
    assert descriptors[channel].startswith("socket:")
    # What the shell's ls has open: the streams and the directory, not the channel.
    assert log.splitlines()[-1].strip() == "4"


def test_processors_and_threads_are_those_of_the_lease(look, arm_starter):
    seen, _, _ = look
    assert seen["processors"] == sorted(arm_starter.core)
    assert seen["threads"] == 1


def test_the_file_is_run_as_a_script_of_its_own_directory(look):
    seen, arm, _ = look
    assert seen["arguments"] == [str(arm.file)]
    assert seen["beside"] == str(arm.file.parent / "beside.py")


def test_relative_caches_and_those_below_home_keep_their_place(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    kept = scrubbed_environment(
        {
            "HOME": "/home/somebody",
            "HF_HOME": "cache",
            "TORCH_HOME": "~/torch",
            "PYTHONPATH": "source:/absolute",
        }
    )
    assert kept == {
        "HF_HOME": f"{tmp_path}/cache",
        "TORCH_HOME": "/home/somebody/torch",
        "PYTHONPATH": f"{tmp_path}/source:/absolute",
    }


def test_caches_of_an_environment_without_a_home_are_those_of_the_user():
    assert Path(scrubbed_environment({})["HF_HOME"]).is_absolute()


def test_a_patched_class_is_patched_in_one_arm_only(arm_starter):
    patch = "import torch\ntorch.nn.Module.forward = torch.nn.Module.added = lambda self: None\n"
    look = "import torch\nprint('patched:', hasattr(torch.nn.Module, 'added'))\n"
    with arm_starter.start(patch + look + PAINTER) as patched, arm_starter.start(look + PAINTER) as clean:
        patched.load()
        clean.load()
        assert "patched: True" in arm_starter.log(patched)
        assert "patched: False" in arm_starter.log(clean)


def test_an_arm_cannot_have_another_one_forked(bare_starter):
    source = """
    import socket
    address = open("/proc/self/cmdline").read().split("\\0")[-2]
    client = socket.socket(socket.AF_UNIX)
    client.connect(address)
    print(client.recv(1000), client.recv(1000))
    """
    with bare_starter.start(source) as arm:
        load_in_vain(arm)
        assert "an arm may not ask for another one" in bare_starter.log(arm)


# Counts in a thread, and in a process that left the session, each in a file of eight bytes.
COUNTS = """
import mmap, os, threading

def count(path):
    with open(path, "w+b") as file:
        file.write(bytes(8))
        file.flush()
        with mmap.mmap(file.fileno(), 8) as counter:
            while True:
                counter[:] = (int.from_bytes(counter, "big") + 1).to_bytes(8, "big")

directory = os.path.dirname(__file__)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        count(f"{directory}/process")
    os._exit(0)
os.wait()
threading.Thread(target=count, args=(f"{directory}/thread",), daemon=True).start()
"""


def test_a_paused_arm_makes_no_progress_while_another_one_generates(arm_starter):
    def counts(arm: PipelineArm) -> list[int]:
        files = [arm.file.parent / name for name in ("thread", "process")]
        return [int.from_bytes(file.read_bytes(), "big") if file.exists() else 0 for file in files]

    def states(pid: int) -> set[str]:
        stats = [task / "stat" for member in tree(pid) for task in Path(f"/proc/{member}/task").iterdir()]
        return {stat.read_text().rpartition(")")[2].split()[0] for stat in stats}

    with arm_starter.start(COUNTS + PAINTER) as paused, arm_starter.start(role="baseline") as other:
        paused.load()
        other.load()
        wait_until(lambda: all(counts(paused)))
        assert len(tree(paused.process.pid)) == 2
        paused.process.pause()
        wait_until(lambda: states(paused.process.pid) == {"T"})
        before = counts(paused)
        for _ in range(5):
            other.generate(SAMPLES)
        assert counts(paused) == before
        paused.generate(SAMPLES)  # resumes by itself
        wait_until(lambda: all(now > then for now, then in zip(counts(paused), before, strict=True)))
        pids = tree(paused.process.pid)
        paused.process.pause()
    assert all(map(is_gone, pids))
    assert_works(arm_starter)
