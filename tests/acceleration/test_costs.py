"""What an arm says of compiling and of its GPU, what the driver says, and what a limit of memory is held against."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from arms import PAINTER, SAMPLES, ArmStarter
from records import case

from bench.acceleration.arm import torch_costs
from bench.acceleration.evaluation import AccelerationEvaluation
from bench.acceleration.gates import gpu_bytes_needed, judge_memory
from bench.acceleration.memory_use import judge_launches
from bench.acceleration.protocol.messages import GpuMemory
from bench.acceleration.times import Launch, Times
from bench.acceleration.timing import TimingPlan
from bench.core.evaluation import RunContext
from bench.machine.gpu_memory import memory_of_processes
from bench.statistics.launches import LaunchTest

# In the arm itself: a card that torch has used, as far as a processor can show one.
ON_A_CARD = f"""
import torch

torch.cuda.is_initialized = lambda: True
torch.cuda.max_memory_allocated = lambda: {{allocated}}
torch.cuda.max_memory_reserved = lambda: 2_000_000_000
{PAINTER.replace("{", "{{").replace("}", "}}")}
"""


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A card in the place of torch's, which notes when it is waited for."""
    made = SimpleNamespace(
        is_initialized=lambda: True, max_memory_allocated=lambda: 3, max_memory_reserved=lambda: 5,
        synchronize=lambda: made.waits.append(1), waits=[],
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=made))
    return made


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that puts a driver in place which prints this."""

    def say(text: str, status: int = 0) -> None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\nprintf '{text}'\nexit {status}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return say


# In the arm


@pytest.mark.parametrize(("total", "expected"), [(0, None), (12.5, 12.5)])
def test_seconds_of_compiling_are_those_of_torch(monkeypatch, total: float, expected: float | None) -> None:
    utils = SimpleNamespace(
        calculate_time_spent=lambda: {"total_wall_time": total, "backend_compile": total / 2}
    )
    monkeypatch.setitem(sys.modules, "torch._dynamo.utils", utils)
    assert torch_costs.compiled_s() == expected


def test_a_process_that_has_not_imported_the_compiler_has_compiled_nothing(monkeypatch) -> None:
    monkeypatch.delitem(sys.modules, "torch._dynamo.utils", raising=False)
    assert torch_costs.compiled_s() is None
    assert "torch._dynamo.utils" not in sys.modules


def test_peaks_are_those_of_torchs_allocator(card: SimpleNamespace) -> None:
    assert torch_costs.gpu_memory() == GpuMemory(allocated_bytes=3, reserved_bytes=5)
    card.is_initialized = lambda: False
    assert torch_costs.gpu_memory() == GpuMemory()


def test_the_clock_waits_for_the_card_and_for_nothing_without_one(card: SimpleNamespace) -> None:
    first = torch_costs.time_when_done()
    assert card.waits == [1]
    card.is_initialized = lambda: False
    assert torch_costs.time_when_done() >= first
    assert card.waits == [1]


# The driver


def test_the_driver_is_asked_for_these_processes_alone(driver) -> None:
    driver("11, 1024\\n12, 512\\n11, 1\\n13, 4096\\n")
    assert memory_of_processes({11, 12}) == (1024 + 512 + 1) * 2**20


@pytest.mark.parametrize("text", ["", "99, 1024\\n", "11, [N/A]\\n", "No devices were found\\n"])
def test_a_driver_that_does_not_say_leaves_it_open(driver, text: str) -> None:
    driver(text)
    assert memory_of_processes({11}) is None


def test_a_driver_that_fails_or_is_missing_leaves_it_open(driver, monkeypatch, tmp_path: Path) -> None:
    driver("11, 1024\\n", status=9)
    assert memory_of_processes({11}) is None
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert memory_of_processes({11}) is None


# From the arm to the record


@pytest.mark.slow
def test_an_arm_on_a_card_tells_its_peaks_and_the_driver_is_asked_too(
    arm_starter: ArmStarter, driver
) -> None:
    with arm_starter.start(ON_A_CARD.format(allocated=1_000_000_000)) as arm:
        arm.load()
        assert arm.gpu_memory() is None  # on a processor it is not even asked
        arm.device = "cuda"
        assert arm.gpu_memory() == GpuMemory(allocated_bytes=1_000_000_000, reserved_bytes=2_000_000_000)
        driver(f"{arm.process.pid}, 5000\\n")
        assert arm.gpu_memory().driver_bytes == 5000 * 2**20
        assert len(arm.generate(SAMPLES).outputs) == 2


# The gate


@pytest.mark.parametrize(
    ("reserved", "driver_says", "needed"),
    [
        (1, None, 1),
        (None, 5, 5),
        (1_000, 5_000, 5_000),
        (5_000, 1_000, 5_000),
        (None, None, None),
        (0, None, 0),
    ],
)
def test_on_a_card_the_larger_of_what_torch_holds_and_what_the_driver_says_counts(
    reserved: int | None, driver_says: int | None, needed: int | None
) -> None:
    memory = GpuMemory(allocated_bytes=8_000, reserved_bytes=reserved, driver_bytes=driver_says)
    assert gpu_bytes_needed(memory) == needed


@pytest.mark.parametrize(("gpu", "verdict"), [(None, "pass"), (0, "fail")])
def test_the_limit_is_one_of_the_card_where_there_is_one_and_else_of_resident_memory(
    gpu: int | None, verdict: str
) -> None:
    evaluation = AccelerationEvaluation(
        case(max_memory_gb=2.0), RunContext(Path("/nowhere"), Path("/nowhere")),
        SimpleNamespace(plan=TimingPlan(), cache=None, arms=SimpleNamespace(gpu=gpu), samples=(), scoring=None),
    )  # fmt: skip
    on_card = GpuMemory(allocated_bytes=1, reserved_bytes=3_000_000_000)
    arm = SimpleNamespace(
        peak_bytes=lambda: 1_000_000_000, gpu_memory=lambda: None if gpu is None else on_card
    )
    evaluation._pair = SimpleNamespace(
        baseline=arm,
        candidate=arm,
        step_s={"baseline": 0.2, "candidate": None},
        part_s={},
    )
    times = Times(launches=[Launch(order=["baseline", "candidate"])])
    evaluation._record_raw(SimpleNamespace(times=times))
    assert judge_launches(evaluation.body.memory, times).verdict == verdict
    plain = evaluation.record.to_json()
    assert plain["memory"]["allowed_bytes"] == 2_000_000_000
    for role in ("baseline", "candidate"):
        found = [
            plain["memory"][f"{role}_{name}_bytes"] for name in ("peak", "allocated", "reserved", "driver")
        ]
        assert found == [1_000_000_000, *([None] * 3 if gpu is None else [1, 3_000_000_000, None])]
    assert plain["times"]["step_s"] == {"baseline": 0.2, "candidate": None}


def test_an_arm_that_says_less_than_the_driver_misses_its_limit() -> None:
    memory = GpuMemory(reserved_bytes=1_000_000_000, driver_bytes=5_000_000_000)
    verdict = judge_memory(LaunchTest().peak([gpu_bytes_needed(memory)]), 2_000_000_000)
    assert (verdict.verdict, verdict.reason_code) == ("fail", "memory_missed")
    assert "peak memory 5 GB" in verdict.reason
    assert "is above the allowed 2 GB" in verdict.reason
