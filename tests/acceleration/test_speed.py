"""When a pair has been timed long enough, and what its images and steps must be; without any process."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from records import case

from bench.acceleration import pair as pair_module
from bench.acceleration.configuration import Configuration
from bench.acceleration.host.own_call import SeenCall
from bench.acceleration.host.pipeline_arm import Batch
from bench.acceleration.pair import Pair
from bench.acceleration.prompts import Sample, SampleStream
from bench.acceleration.protocol.messages import Observed
from bench.acceleration.speed import SpeedMeasurement
from bench.acceleration.timing import PairedTimer, TimingPlan
from bench.core.errors import ArmProblem

PLAN = TimingPlan(batch_size=2, warmup_rounds=2, max_rounds=40, ungated_rounds=14, ungated_precision=0.05)


class Arm:
    """Generates nothing, in a time that is drawn from its own generator."""

    def __init__(self, seconds: float, scatter: float, seed: int) -> None:
        self.process = SimpleNamespace(pause=lambda: None)
        self.load_s = self.first_call_s = 1.0
        self.compile_s = None
        self._seconds, self._scatter, self._rng = seconds, scatter, np.random.default_rng(seed)

    def generate(self, samples: list[Sample]) -> Batch:
        factor = float(np.exp(self._scatter * self._rng.standard_normal()))
        return Batch([], self._seconds * len(samples) * factor, Observed(), False)


def measured(
    faster: float, scatter: float = 0.01, *, plan: TimingPlan = PLAN, **fields: object
) -> SpeedMeasurement:
    timer = PairedTimer(
        Arm(1.0, scatter, 1), Arm(1.0 / faster, scatter, 2),
        sample_at=lambda index: Sample("a", index), keep=lambda *_: None, plan=plan,
    )  # fmt: skip
    speed = SpeedMeasurement(case(**fields), timer, plan, seed=0)
    for _ in speed.looks():
        if speed.is_decided():
            break
    return speed


@pytest.mark.parametrize(
    ("faster", "fields", "rounds", "verdict"),
    [
        (2.0, {"required_speedup": 1.5}, 6, "pass"),
        (1.2, {"required_speedup": 1.5}, 6, "fail"),
        (2.0, {"max_latency_s": 0.7}, 6, "pass"),
        (1.0, {"expect": "speedup_missed", "required_speedup": 2.0}, 6, "fail"),
        (1.5, {"required_speedup": 1.5}, 40, "inconclusive"),
    ],
)
def test_a_gate_is_timed_until_it_is_decided(faster: float, fields: dict, rounds: int, verdict: str) -> None:
    speed = measured(faster, **fields)
    assert speed.rounds == rounds
    words = {found.verdict for found in speed.judge()}
    assert verdict in words
    assert len(words - {"pass", verdict}) == 0


def test_an_ungated_speedup_is_timed_until_it_is_precise_or_its_rounds_are_over() -> None:
    assert measured(2.0, 0.01).rounds == 6
    assert measured(2.0, 0.5).rounds == PLAN.ungated_rounds


def test_estimates_are_named_and_hold_the_truth() -> None:
    found = measured(2.0, 0.05, required_speedup=1.5).estimates()
    assert set(found) == {"speedup", "latency_s"}
    assert {name: estimate.metric for name, estimate in found.items()} == {name: name for name in found}
    assert found["speedup"].low < 2.0 < found["speedup"].high
    assert found["latency_s"].low < 0.5 < found["latency_s"].high


def test_a_budget_without_rounds_leaves_the_gate_undecided() -> None:
    plan = TimingPlan(batch_size=2, time_budget_s=0.0)
    speed = measured(2.0, plan=plan, required_speedup=1.5)
    assert (speed.rounds, speed.estimates()) == (0, {})
    assert [verdict.reason_code for verdict in speed.judge()] == ["passed", "speedup_undecided"]
    assert "only 0 timed rounds" in speed.judge()[1].reason
    ungated = measured(2.0, plan=plan)
    assert all(verdict.holds for verdict in ungated.judge())


# The images and steps of a pair


SAMPLES = SampleStream(tuple(Sample(f"prompt {index}", index) for index in range(4)), 0)


def batch(
    seeds: list[int], *, steps: int | None = 4, taken: int = 4, shape: tuple[int, int] = (8, 8), step_s: float | None = None,
) -> Batch:  # fmt: skip
    images = [np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8) for seed in seeds]
    observed = Observed(num_inference_steps=steps, scheduler_steps=taken, step_s=step_s)
    return Batch(images, 1.0, observed, False)


class FakeArm:
    """A loaded arm whose batches are given."""

    def __init__(self, process: SimpleNamespace, *_: object) -> None:
        self.process, self.configuration = process, Configuration()
        self.batches = process.batches

    def load(self, seen: SeenCall) -> None:
        """Load nothing."""

    def first_call(self, samples: list[Sample]) -> Batch:
        batch = self.batches.pop(0)
        self.first_observed = batch.observed
        return batch

    def generate(self, samples: list[Sample]) -> Batch:
        return self.batches.pop(0)

    audit = generate


@pytest.fixture
def make_pair(monkeypatch: pytest.MonkeyPatch, tmp_path):
    """Return a pair whose arms give these batches."""
    monkeypatch.setattr(pair_module, "PipelineArm", FakeArm)

    def make(baseline: list[Batch], candidate: list[Batch], of_other_case: float | None = None) -> Pair:
        batches = {"baseline": list(baseline), "candidate": list(candidate)}

        @contextmanager
        def start(role: str, name: str):
            yield SimpleNamespace(pause=lambda: None, batches=batches[role])

        arms = SimpleNamespace(start=start, device="cpu", limits=SimpleNamespace(load_timeout_s=1.0))
        references = SimpleNamespace(
            baseline_outputs=lambda arm, samples, generate: generate(),
            call_for=lambda file, role, name, target: SeenCall(),
            baseline_step_s=lambda arm, size, measure: measure() if of_other_case is None else of_other_case,
        )
        pair = Pair("case", arms, SAMPLES, references, batch_size=2, processes=ExitStack())
        for role in ("candidate", "baseline"):
            pair.load(role, tmp_path / f"{role}.py")
        return pair

    return make


def test_samples_that_the_rounds_left_out_are_completed_and_those_of_the_clock_dropped(make_pair) -> None:
    pair = make_pair([batch([0, 1]), batch([2, 3])], [batch([10, 11]), batch([12, 13])])
    assert pair.outputs() is None
    pair.keep("candidate", [4, 5], batch([14, 15]))
    pair.complete(1)
    images = pair.outputs()
    assert images is not None
    assert [len(found) for found in images.values()] == [4, 4]
    assert (images["candidate"][3] == batch([13]).outputs[0]).all()
    assert pair.output_problems() == []
    assert pair.drift == []


SAME = batch([2, 3])
FAR = "images while not watched"


@pytest.mark.parametrize(
    ("audits", "fields"),
    [
        ([batch([2, 3])], []),
        ([batch([2, 3], steps=3)], ["num_inference_steps in a later call"]),
        ([batch([2, 3], taken=2)], ["scheduler_steps in a later call"]),
        (
            [batch([6, 7]), batch([6, 7])],
            [FAR],
        ),  # the same images whenever it is asked now, and others when it was timed
        ([batch([6, 7]), batch([8, 9])], []),  # it draws at random
        ([batch([2, 3], shape=(4, 4)), batch([2, 3], shape=(4, 4))], [FAR]),
    ],
)
def test_a_timed_batch_is_made_again_and_what_differs_is_noticed(make_pair, audits, fields) -> None:
    pair = make_pair([batch([0, 1]), SAME], [batch([0, 1]), *audits])
    pair.keep("candidate", [2, 3], SAME)
    pair.audit()
    assert [entry.field for entry in pair.drift] == fields
    assert all(entry.target != entry.candidate for entry in pair.drift)


def test_a_little_noise_is_no_other_image(make_pair) -> None:
    noisy = batch([2, 3])
    for image in noisy.outputs:
        image[:4] += np.uint8(1) - 2 * (image[:4] == 255).astype(np.uint8)
    pair = make_pair([batch([0, 1]), SAME], [batch([0, 1]), noisy, noisy])
    pair.keep("candidate", [2, 3], SAME)
    pair.audit()
    assert pair.drift == []


def test_a_pipeline_whose_steps_cannot_be_seen_does_not_drift(make_pair) -> None:
    unseen = [batch(seeds, steps=None, taken=0) for seeds in ([0, 1], [2, 3])]
    pair = make_pair([batch([0, 1], steps=None, taken=0)], unseen)
    pair.keep("candidate", [2, 3], SAME)
    pair.audit()
    assert pair.drift == []


def test_where_nothing_was_timed_nothing_is_made_again(make_pair) -> None:
    pair = make_pair([batch([0, 1])], [batch([0, 1])])
    pair.audit()
    assert pair.drift == []


def test_steps_are_timed_in_calls_that_are_not_timed_themselves(make_pair) -> None:
    watched = [batch([2, 3], step_s=0.2), batch([2, 3], step_s=0.1)]
    pair = make_pair([batch([0, 1]), watched[0]], [batch([0, 1]), watched[1]])
    pair.keep("candidate", [2, 3], SAME)
    assert pair.step_s == {"baseline": None, "candidate": None}
    pair.audit()
    pair.time_baseline_steps()
    assert pair.step_s == {"baseline": 0.2, "candidate": 0.1}


def test_a_baseline_whose_steps_another_case_timed_makes_no_call_for_them(make_pair) -> None:
    pair = make_pair([batch([0, 1])], [batch([0, 1]), batch([2, 3], step_s=0.1)], of_other_case=0.3)
    pair.keep("candidate", [2, 3], SAME)
    pair.audit()
    pair.time_baseline_steps()
    assert pair.step_s == {"baseline": 0.3, "candidate": 0.1}


def test_a_baseline_that_completes_its_images_makes_no_call_more_for_its_steps(make_pair) -> None:
    pair = make_pair(
        [batch([0, 1]), batch([2, 3], step_s=0.2)], [batch([0, 1]), SAME, batch([2, 3], step_s=0.1)]
    )
    pair.complete(1)
    pair.audit()
    pair.time_baseline_steps()
    assert pair.step_s == {"baseline": 0.2, "candidate": 0.1}


def test_a_baseline_without_steps_makes_no_call_for_them(make_pair) -> None:
    pair = make_pair([batch([0, 1], steps=None, taken=0)], [batch([0, 1]), batch([2, 3], step_s=0.1)])
    pair.keep("candidate", [2, 3], SAME)
    pair.audit()
    pair.time_baseline_steps()
    assert pair.step_s == {"baseline": None, "candidate": 0.1}


def test_images_that_cannot_be_used_are_a_problem_of_the_candidate_or_an_error_of_the_baseline(
    make_pair,
) -> None:
    pair = make_pair([batch([0, 1])], [batch([0, 1])])
    pair.keep("candidate", [2, 3], batch([2]))
    assert pair.is_broken
    assert "returned 1 image for 2 prompts" in pair.output_problems()[0]
    pair = make_pair([batch([0, 1])], [batch([0, 1], shape=(8, 4))])
    assert not pair.is_broken
    assert "4 x 8 pixels" in pair.output_problems()[0]
    pair = make_pair([batch([0, 0])], [batch([0, 1])])
    with pytest.raises(ArmProblem, match=r"baseline repeat another one.*; fix the baseline") as caught:
        pair.output_problems()
    assert caught.value.reason_code == "reference_failed"
