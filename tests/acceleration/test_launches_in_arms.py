"""A pair whose speedup is at its limit is launched again and again, in real processes; one evaluation for all tests."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from arms import ArmStarter, kept_server
from records import case

from bench.acceleration.cache import ContentCache
from bench.acceleration.evaluation import AccelerationEvaluation, AccelerationResources
from bench.acceleration.image_records import NullBand
from bench.acceleration.null_launch import NULL_ROUNDS
from bench.acceleration.prompts import Sample, SampleStream
from bench.acceleration.quality import PairScores
from bench.acceleration.timing import FIRST_ROUNDS, TimingPlan
from bench.core.estimate import Estimate
from bench.core.evaluation import RunContext
from bench.core.record import Json

# One noisy image per prompt, in a time that is the same for all. It refuses to load next to what an earlier launch left.
SLEEPER = """
import time
from pathlib import Path

import PIL.Image
import torch
from diffusers import DiffusionPipeline

if Path("left").exists():
    raise RuntimeError("an earlier launch left something in the private directory")
Path("left").touch()


class Sleeper(DiffusionPipeline):
    def __init__(self):
        super().__init__()
        self.register_to_config()

    def __call__(self, prompt, generator=None):
        time.sleep(0.005)
        noise = [torch.randint(256, (8, 8, 3), generator=one, dtype=torch.uint8) for one in generator]
        return [PIL.Image.fromarray(image.numpy()) for image in noise]


pipe = Sleeper()


def generate(pipe, prompts, generators):
    return pipe(prompts, generators)
"""
# What other tests compute on the same cores is not what is looked at here, so it may be anything.
PLAN = TimingPlan(batch_size=2, warmup_rounds=2, max_launches=3, max_rounds=90, max_foreign_load=1.0)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> AccelerationEvaluation:
    """The evaluation of a pipeline against itself that has to be exactly as fast."""
    starter = ArmStarter(kept_server(), tmp_path_factory.mktemp("launches"))
    file = starter.write(SLEEPER)
    loss = Estimate(metric="quality_loss", value=0.0, low=0.0, high=0.0, higher_is_better=False)
    resources = AccelerationResources(
        samples=SampleStream(tuple(Sample("a star", seed) for seed in range(4)), 0),
        cache=ContentCache(starter.directory / "cache"),
        scoring=SimpleNamespace(
            prepare=lambda: None,
            wait=lambda: None,
            compare=lambda *_, **__: PairScores(loss, 30.0, 30.0, []),
            null_band=lambda *_: NullBand(),
        ),
        arms=starter.factory(),
        plan=PLAN,
    )
    itself = case(
        target_file=file, baseline_file=file, candidate_file=file, required_speedup=1.0, max_latency_s=1.0,
        max_memory_gb=64.0,
    )  # fmt: skip
    context = RunContext(starter.directory, starter.directory)
    with AccelerationEvaluation(itself, context, resources) as evaluation:
        evaluation.run()
    assert not list(starter.scratch.iterdir()), "every private directory is gone"
    return evaluation


@pytest.fixture(scope="module")
def record(evaluated: AccelerationEvaluation) -> Json:
    return evaluated.record.to_json()


def test_it_is_launched_as_often_as_it_may_be_and_stays_undecided(record: Json) -> None:
    assert (record["verdict"], record["reason_code"]) == ("inconclusive", "speedup_undecided")
    rounds = record["speedup"]["rounds"]
    assert (record["speedup"]["launches"], rounds) == (3, len(record["times"]["rounds"]))
    assert (
        f"over 3 launches, {rounds} rounds contains the required 1x; launches scatter by" in record["reason"]
    )
    assert "against itself the ratio was" in record["reason"]
    assert record["speedup"]["low"] < 1 < record["speedup"]["high"]


def test_the_record_has_each_launch_with_what_it_cost_and_took(record: Json) -> None:
    times = record["times"]
    first, *further = (launch["rounds"] for launch in times["launches"])
    assert first in FIRST_ROUNDS, "more where they scatter"
    assert all(6 <= rounds <= 40 and rounds % 2 == 0 for rounds in further)
    for number, launch in enumerate(times["launches"]):
        assert [entry["launch"] for entry in times["rounds"]].count(number) == launch["rounds"]
    for launch in times["launches"]:
        assert sorted(launch["order"]) == ["baseline", "candidate"]
        assert launch["cores"] == times["launches"][0]["cores"] != []
        for role in ("baseline", "candidate"):
            assert launch["load_s"][role] > 0
            assert launch["first_call_s"][role] > 0
            assert len(launch["warmup_s"][role]) == 1
            assert launch["peak_bytes"][role] > 1e7
    assert len({launch["load_s"]["candidate"] for launch in times["launches"]}) == 3, "each loaded for itself"
    assert times["load_s"] == times["launches"][0]["load_s"]
    highest = max(launch["peak_bytes"]["candidate"] for launch in times["launches"])
    assert record["memory"]["candidate_peak_bytes"] == highest


def test_the_launch_of_the_baseline_against_itself_is_in_the_record(record: Json) -> None:
    null = record["times"]["null"]
    assert (null["of"], null["problem"]) == (record["id"], None)
    assert len(null["rounds"]) in NULL_ROUNDS
    assert all(value > 1e7 for value in null["peak_bytes"].values()), (
        "a gate of this case asks for the memory"
    )


def test_nothing_of_a_later_launch_differs(evaluated: AccelerationEvaluation) -> None:
    assert evaluated._pair.drift == []


def test_all_processes_have_logs(evaluated: AccelerationEvaluation, record: Json) -> None:
    logs = {path.name for path in Path(evaluated.context.directory, "logs").iterdir()}
    assert {f"{record['id']}.{role}.log" for role in ("baseline", "candidate")} <= logs
