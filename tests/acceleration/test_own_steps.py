"""A file that generates without a pipeline is refused, and one that waits for somebody is not waited for."""

from __future__ import annotations

import threading
from pathlib import Path

import psutil
import pytest
from arms import ArmStarter
from test_own_call import MAIN, SCHEDULED, generated, script, seen_in

from bench.acceleration.arm import idleness
from bench.acceleration.host.own_call import SeenCall, see_call
from bench.acceleration.host.pipeline_arm import PipelineArm
from bench.core.errors import ArmProblem

LOOP = """
def draw(scheduler, steps):
    x = torch.zeros(1, 4, 8, 8)
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        x = scheduler.step(torch.zeros_like(x), t, x).prev_sample
    return x
"""


def refused(starter: ArmStarter, file: Path, seen: SeenCall) -> str:
    factory = starter.factory()
    with factory.start("candidate", file.parent.name) as process:
        arm = PipelineArm(process, file, factory.device, 120.0)
        with pytest.raises(ArmProblem) as caught:
            arm.load(seen)
    assert caught.value.reason_code == "load_failed"
    return str(caught.value)


def test_a_loop_of_its_own_over_the_steps_is_refused(arm_starter: ArmStarter) -> None:
    file, seen = seen_in(arm_starter, script(SCHEDULED + LOOP + MAIN + "    draw(pipe.scheduler, 4)\n"))
    assert seen.call is None
    line = (
        file.read_text()
        .splitlines()
        .index("        x = scheduler.step(torch.zeros_like(x), t, x).prev_sample")
        + 1
    )
    why = refused(arm_starter, file, seen)
    assert f"generates without a pipeline: it goes through the steps itself, in line {line}; expected" in why
    assert "put that loop into generate(pipe, prompts, generators)" in why


def test_such_a_loop_counts_where_the_text_has_a_call_that_is_not_reached(arm_starter: ArmStarter) -> None:
    text = "import sys\n" + LOOP + MAIN + "    if len(sys.argv) > 1:\n        pipe('a', steps=20)\n"
    text += "    draw(pipe.scheduler, 4)\n"
    file, seen = seen_in(arm_starter, script(SCHEDULED + text))
    assert "generates without a pipeline" in refused(arm_starter, file, seen)


def test_a_loop_in_a_module_next_to_the_file_is_named_by_the_line_that_leads_to_it(
    arm_starter: ArmStarter,
) -> None:
    source = script(SCHEDULED + "from drawing import draw\n" + MAIN + "    draw(pipe.scheduler, 4)\n")
    file = arm_starter.write(source)
    (file.parent / "drawing.py").write_text("import torch\n" + LOOP)
    seen = see_call(arm_starter.factory(), file, "candidate", "neighbour")
    assert f"in line {len(source.splitlines())}; expected" in refused(arm_starter, file, seen)


def test_a_step_before_the_call_and_timesteps_that_are_only_set_are_nothing(arm_starter: ArmStarter) -> None:
    text = (
        LOOP
        + "pipe.scheduler.set_timesteps(7)\n"
        + MAIN
        + "    draw(pipe.scheduler, 1)\n    pipe('a', steps=20)\n"
    )
    found, arm = generated(arm_starter, script(SCHEDULED + text))
    assert found.startswith("20 ")
    assert arm.configuration.call.by == "run"


DENOISER = """
import torch
from diffusers import ConfigMixin, ModelMixin

class Velocity(ModelMixin, ConfigMixin):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, sample, timestep):
        return (sample * self.scale.detach() / 2,)

    def decode(self, latents):
        return latents.clamp(0, 1)

velocity = Velocity()

def predict(x, now):
    return velocity(x, timestep=torch.full((2,), now))[0]

def draw(times):
    x = torch.ones(2, 3, 8, 8)
    for now, then in zip(times, times[1:]):
        x = x + (then - now) * predict(x, now)
    return x
"""
DRAWN = {
    "decoded": "    images = velocity.decode(draw([1.0, 0.5, 0.0]))\n",
    "made images": "    from PIL import Image\n"
    "    image = Image.fromarray((draw([1.0, 0.5, 0.0])[0] * 255).byte().permute(1, 2, 0).numpy())\n",
}
NOT_DRAWN = {
    "not decoded": "    changes = draw([1.0, 0.5, 0.0])\n",
    "one step": "    images = velocity.decode(draw([1.0, 0.0]))\n",
    "the same step": "    images = velocity.decode(draw([1.0, 1.0, 1.0]))\n",
    "warming up": "    for now in (1.0, 0.5):\n        _ = predict(torch.ones(2, 3, 8, 8), now)\n"
    "    image = velocity.decode(torch.ones(2, 3, 8, 8))\n",
    "a decoder that warms up": "    deltas = draw([1.0, 0.5, 0.0])\n    velocity.decode(deltas)\n",
    "traced": "    images = velocity.decode(torch.jit.trace(velocity, (torch.ones(2, 3, 8, 8), torch.tensor(1.0)))(\n"
    "        torch.ones(2, 3, 8, 8), torch.tensor(0.5))[0])\n",
}  # fmt: skip


@pytest.mark.parametrize("use", DRAWN)
def test_a_loop_of_its_own_over_the_denoiser_is_refused_where_no_scheduler_takes_part(
    arm_starter: ArmStarter, use: str
) -> None:
    file, seen = seen_in(arm_starter, script(DENOISER + MAIN + DRAWN[use]))
    lines = file.read_text().splitlines()
    line = lines.index("    return velocity(x, timestep=torch.full((2,), now))[0]") + 1
    why = refused(arm_starter, file, seen)
    assert f"generates without a pipeline: it goes through the steps itself, in line {line}; expected" in why


@pytest.mark.parametrize("use", NOT_DRAWN)
def test_a_denoiser_that_is_measured_warmed_up_or_traced_is_no_loop(
    arm_starter: ArmStarter, use: str
) -> None:
    _, seen = seen_in(arm_starter, script(DENOISER + MAIN + NOT_DRAWN[use]))
    assert (seen.probed.own_steps, seen.probed.why) == ("", "it ran to its end")


def test_a_denoiser_compiled_whole_is_called_as_it_is(arm_starter: ArmStarter) -> None:
    text = "    fast = torch.compile(velocity, fullgraph=True, backend='eager')\n"
    text += "    found = [fast(torch.ones(2, 3, 8, 8), torch.tensor(now))[0] for now in (1.0, 0.5)]\n"
    _, seen = seen_in(arm_starter, script(DENOISER + MAIN + text))
    assert seen.probed.why == "it ran to its end"


WAITS = {
    "for a request": "import socket\nserver = socket.create_server(('127.0.0.1', 0))\n" + MAIN
    + "    while True:\n        peer, _ = server.accept()\n        pipe(peer.recv(100).decode(), steps=20)\n",
    "for a job, in a thread and in a process of its own": "import queue, subprocess, sys, threading\njobs = queue.Queue()\n"
    "def work():\n    while True:\n        pipe(jobs.get(), steps=20)\n" + MAIN
    + "    subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(300)'])\n"
    "    threading.Thread(target=work).start()\n",
}  # fmt: skip


@pytest.mark.parametrize("wait", WAITS)
def test_a_script_that_waits_for_somebody_is_read_instead_soon(arm_starter: ArmStarter, wait: str) -> None:
    file, seen = seen_in(arm_starter, script(WAITS[wait]), load_timeout_s=200.0)
    assert seen.call is None
    assert "it did nothing but wait for 20 s" in seen.probed.why
    if wait == "for a request":
        line = file.read_text().splitlines().index("        peer, _ = server.accept()") + 1
        assert seen.probed.why.startswith(f"line {line}: ")


THREADS = {
    "that nobody waits for": "    threading.Thread(target=draw).start()\n",
    "behind an error": "    threading.Thread(target=draw).start()\n    1 / 0\n",
    "of a pool": "    from concurrent.futures import ThreadPoolExecutor\n    ThreadPoolExecutor(2).submit(draw)\n",
}


@pytest.mark.parametrize("thread", THREADS)
def test_a_call_in_a_thread_is_waited_for(arm_starter: ArmStarter, thread: str) -> None:
    text = (
        "import threading, time\ndef draw():\n    time.sleep(0.5)\n    pipe('a', steps=20)\n"
        + MAIN
        + THREADS[thread]
    )
    found, arm = generated(arm_starter, script(text))
    assert found.startswith("20 ")
    assert arm.configuration.call.by == "run"


def test_threads_that_have_nothing_to_do_are_not_waited_for(arm_starter: ArmStarter) -> None:
    text = "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(2)\npool.submit(int).result()\n"
    _, seen = seen_in(arm_starter, script(text))
    assert seen.probed.why == "it ran to its end"


def test_a_script_that_works_for_long_or_waits_for_one_that_does_is_not_given_up(
    arm_starter: ArmStarter,
) -> None:
    busy = "import time\nend = time.monotonic() + 24\nwhile time.monotonic() < end:\n    pass\n"
    text = f"import subprocess, sys\n{MAIN}    subprocess.run([sys.executable, '-S', '-c', {busy!r}])\n"
    text += "    pipe('a', steps=20)\n"
    _, seen = seen_in(arm_starter, script(text))
    assert seen.call is not None, seen.probed.why


def test_nothing_is_idle_where_the_work_of_others_cannot_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idleness, "_LOOK_S", 0.01)
    told = threading.Event()
    with idleness.when_idle(told.set):
        assert told.wait(20)

    def denied(*_: object, **__: object) -> list[object]:
        raise psutil.AccessDenied(1)

    ended = threading.Event()
    with idleness.when_idle(ended.set):
        with monkeypatch.context() as denying:
            denying.setattr(psutil.Process, "children", denied)
            assert not ended.wait(1.0)
        assert ended.wait(20), "it goes on where they can be told again"


def test_nothing_is_told_when_the_watch_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idleness, "_LOOK_S", 0.01)
    told = threading.Event()
    before = threading.active_count()
    with idleness.when_idle(told.set):
        assert threading.active_count() == before + 1
    assert not told.wait(0.5)
    assert threading.active_count() == before
