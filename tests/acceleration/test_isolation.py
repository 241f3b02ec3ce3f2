"""An arm sees no secret, keeps to its lease and its directory, and makes no progress while it is paused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from arms import (
    PAINTER,
    SAMPLES,
    SECRETS,
    ArmStarter,
    assert_works,
    generating,
    is_gone,
    load_and_generate,
    wait_until,
)

from bench.acceleration.host.pipeline_arm import PipelineArm
from bench.acceleration.host.process_tree import tree
from bench.core.errors import ArmProblem
from bench.machine.scrub import scrubbed_environment

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
    assert Path(private).name.startswith(f"{arm.file.parent.name}.candidate.{os.getpid()}.")
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


LEAVES = "os.sched_setaffinity(0, range(os.cpu_count()))"


@pytest.mark.skipif(os.cpu_count() == 1, reason="needs a second processor to escape to")
@pytest.mark.parametrize(
    "source",
    [
        f"import os\n{LEAVES}\n{PAINTER}",
        generating(f"import os\n{LEAVES}"),
        generating(
            "import os, threading\nleft = threading.Event()\n"
            f"def leave():\n    {LEAVES}\n    left.set()\n    threading.Event().wait()\n"
            "threading.Thread(target=leave).start()\nleft.wait()"
        ),
        generating(
            f"import os, subprocess\nsubprocess.Popen(['sleep', '1000'], preexec_fn=lambda: {LEAVES})"
        ),
    ],
    ids=["on_loading", "on_generating", "in_a_thread", "in_a_child"],
)
def test_an_arm_that_leaves_its_processors_is_caught(source, arm_starter):
    with arm_starter.start(source) as arm, pytest.raises(ArmProblem) as caught:
        load_and_generate(arm)
    assert caught.value.reason_code in ("load_failed", "generation_failed")
    for part in ("allowed itself processors", "expected it to stay on", "remove os.sched_setaffinity()"):
        assert part in str(caught.value)
    assert_works(arm_starter)


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
