"""When a pair has been timed long enough, and what its images and steps must be; without any process."""

from __future__ import annotations

import itertools
import re
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from records import case

from bench.acceleration import pair as pair_module
from bench.acceleration.configuration import Configuration
from bench.acceleration.evidence import LEAST_ROUNDS
from bench.acceleration.host.own_call import SeenCall
from bench.acceleration.host.pipeline_arm import Batch
from bench.acceleration.pair import Pair
from bench.acceleration.prompts import Sample, SampleStream
from bench.acceleration.protocol.messages import Described, Observed
from bench.acceleration.speed import SpeedMeasurement
from bench.acceleration.timing import FIRST_ROUNDS, PairedTimer, TimingPlan
from bench.core.errors import ArmProblem
from bench.core.verdict import Verdict
from bench.statistics.launches import Rounds

PLAN = TimingPlan(
    batch_size=2, warmup_rounds=2, max_rounds=48, ungated_rounds=14, ungated_precision=0.25, max_launches=8
)
STEADY = [Rounds([1.0, 1.01, 1.0, 1.01], [1.0, 1.0, 1.01, 1.01])]


class Arm:
    """Generates nothing, in a time that is drawn: an effect that lasts as long as the arm, and the scatter of each call."""

    def __init__(self, seconds: float, scatter: float, rng: np.random.Generator, launch_sd: float) -> None:
        self.process = SimpleNamespace(pause=lambda: None)
        self.load_s, self.first_call_s, self.compile_s = 4.0, 4.0, None
        self._scatter, self._rng = scatter, rng
        self._seconds = seconds * float(np.exp(launch_sd * rng.standard_normal()))

    def generate(self, samples: list[Sample]) -> Batch:
        factor = float(np.exp(self._scatter * self._rng.standard_normal()))
        return Batch([], self._seconds * len(samples) * factor, Observed(), False)

    generate_first = generate


class StalledArm(Arm):
    """Takes three times as long in some of its calls; the first one is the warm-up."""

    stalled: tuple[int, ...] = ()
    _calls = 0

    def generate(self, samples: list[Sample]) -> Batch:
        made = super().generate(samples)
        self._calls += 1
        return replace(made, seconds=made.seconds * (3 if self._calls - 1 in self.stalled else 1))


def measured(
    faster: float,
    scatter: float = 0.01,
    *,
    launch_sd: float = 0.0,
    plan: TimingPlan = PLAN,
    null: list[Rounds] = STEADY,
    others: tuple[Verdict, ...] = (),
    is_required: bool = False,
    baseline: Arm | None = None,
    **fields: object,
) -> SpeedMeasurement:
    # Each arm draws for itself: which one begins is drawn too, and by nobody's seed.
    seeds = itertools.count(1)

    def arms() -> tuple[Arm, ...]:
        drawn = [
            Arm(seconds, scatter, np.random.default_rng(next(seeds)), launch_sd)
            for seconds in (1.0, 1.0 / faster)
        ]
        return (baseline or drawn[0], drawn[1])

    used: list[int] = []
    timer = PairedTimer(
        *arms(), sample_at=lambda index: Sample("a", index), keep=lambda role, indices, _: used.extend(indices), plan=plan,
    )  # fmt: skip
    speed = SpeedMeasurement(
        case(**fields), timer, plan, relaunch=lambda: timer.relaunched(*arms(), ("baseline", "candidate")),
        null=lambda: null, is_required=is_required,
    )  # fmt: skip
    for _ in speed.looks():
        if speed.is_decided(others):
            break
    assert len(used) == 2 * len(set(used)), "each sample once in each arm, in all launches together"
    return speed


@pytest.mark.parametrize(
    ("faster", "fields", "launches", "verdict"),
    [
        (2.0, {"required_speedup": 1.5}, 1, "pass"),
        (1.1, {"required_speedup": 1.5}, 1, "fail"),
        (2.0, {"max_latency_s": 0.7}, 1, "pass"),
        (2.0, {"max_latency_s": 0.3}, 1, "fail"),
        (1.0, {"expect": "speedup_missed", "required_speedup": 2.0}, 1, "fail"),
        (1.65, {"required_speedup": 1.5}, 3, "pass"),
        (1.5, {"required_speedup": 1.5}, 8, "inconclusive"),
        (2.0, {"max_latency_s": 0.5}, 8, "inconclusive"),
    ],
)
def test_a_gate_is_timed_until_it_is_decided(
    faster: float, fields: dict, launches: int, verdict: str
) -> None:
    speed = measured(faster, **fields)
    assert speed.launches == launches
    assert speed.rounds == min(FIRST_ROUNDS) + LEAST_ROUNDS * (launches - 1), (
        "launches are worth more than rounds"
    )
    words = {found.verdict for found in speed.judge()}
    assert verdict in words
    assert len(words - {"pass", verdict}) == 0


@pytest.mark.parametrize(("scatter", "rounds"), [(0.01, 4), (0.06, 6), (0.6, 10)])
def test_the_first_launch_has_more_rounds_where_they_scatter(scatter: float, rounds: int) -> None:
    speed = measured(4.0, scatter=scatter, required_speedup=1.5)
    assert speed.times.launches[0].rounds == rounds


@pytest.mark.parametrize(("stalled", "rounds"), [((3,), 4), ((2, 3), 6)])
def test_one_stalled_round_of_four_is_told_from_the_others_and_two_ask_for_more(
    stalled: tuple[int, ...], rounds: int
) -> None:
    baseline = StalledArm(1.0, 0.01, np.random.default_rng(0), 0.0)
    baseline.stalled = stalled
    speed = measured(2.0, baseline=baseline, required_speedup=1.5)
    assert speed.times.launches[0].rounds >= rounds
    assert speed.estimates()["speedup"].value == pytest.approx(2.0, rel=0.1)


def test_the_rounds_of_the_first_launch_are_no_more_than_are_allowed() -> None:
    speed = measured(4.0, 0.6, plan=TimingPlan(max_rounds=8), required_speedup=1.5)
    assert speed.times.launches[0].rounds == 8


def test_a_gap_that_launches_of_one_pipeline_show_as_well_is_not_decided_in_the_first_launch() -> None:
    apart = [Rounds([1.35, 1.36, 1.35, 1.36], [1.0, 1.01, 1.01, 1.0])]
    assert measured(2.0, required_speedup=1.5).launches == 1
    assert measured(2.0, null=apart, required_speedup=1.5).launches > 1


def test_launches_that_differ_leave_a_near_speedup_undecided_and_the_reason_says_by_how_much() -> None:
    speed = measured(1.52, 0.03, launch_sd=0.08, required_speedup=1.5)
    _, verdict = speed.judge()
    assert verdict.reason_code == "speedup_undecided"
    assert (
        f"over {speed.launches} launches, {speed.rounds} rounds contains the required 1.5x" in verdict.reason
    )
    found = re.search(
        r"launches scatter by (\d+\.\d) % \(taken as \d+\.\d % with what is known beforehand\), rounds by (\d+\.\d) %; "
        r"against itself the ratio was \d\.\d+; ",
        verdict.reason,
    )
    assert found is not None
    assert 5 < float(found[1]) < 20
    assert 2 < float(found[2]) < 8
    assert re.search(
        r"raise --max-launches to \d+, --max-rounds to \d+ and --time-budget to \d+", verdict.reason
    ) or ("too close for 64 launches" in verdict.reason)
    assert "fewer workers (-n)" in verdict.reason


def test_a_latency_that_differs_by_launch_is_undecided_and_the_reason_says_by_how_much() -> None:
    speed = measured(2.0, 0.03, launch_sd=0.08, max_latency_s=0.52)
    verdict, _ = speed.judge()
    assert verdict.reason_code == "latency_undecided"
    assert "launches scatter by" in verdict.reason
    assert "--max-launches" in verdict.reason or "too close" in verdict.reason


@pytest.mark.parametrize(("limits", "launches", "rounds"), [
    ({"max_launches": 1}, 1, 4), ({"max_launches": 3}, 3, 16), ({"max_rounds": 12}, 2, 10), ({"max_rounds": 6}, 1, 4),
    ({"time_budget_s": 0.5}, 1, 4),
])  # fmt: skip
def test_a_budget_ends_a_measurement_at_the_end_of_a_launch(limits: dict, launches: int, rounds: int) -> None:
    speed = measured(1.5, plan=replace(PLAN, **limits), required_speedup=1.5)
    assert (speed.launches, speed.rounds) == (launches, rounds)
    assert [launch.rounds for launch in speed.times.launches] == [4, *[6] * (launches - 1)]
    assert [entry.launch for entry in speed.times.rounds].count(0) == 4


def test_rounds_alternate_in_each_launch_and_which_arm_begins_is_drawn() -> None:
    speed = measured(1.5, required_speedup=1.5)
    beginning = set()
    for number in range(speed.launches):
        firsts = [entry.first for entry in speed.times.rounds if entry.launch == number]
        assert all(one != other for one, other in itertools.pairwise(firsts))
        beginning.add(firsts[0])
    assert beginning <= {"baseline", "candidate"}


def test_once_a_gate_has_failed_nothing_more_is_timed() -> None:
    missed = Verdict("fail", "memory_missed", "too much")
    assert measured(1.5, required_speedup=1.5, others=(missed,)).launches == 1
    assert measured(2.0, required_speedup=1.5, max_latency_s=0.3).launches == 1


def test_what_else_is_undecided_is_measured_until_the_budget_is_spent() -> None:
    undecided = Verdict("inconclusive", "memory_undecided", "about the limit")
    assert measured(2.0, max_memory_gb=1.0, others=(undecided,)).launches == 8
    assert measured(2.0, max_memory_gb=1.0).launches == 1


def test_an_ungated_speedup_is_timed_until_it_is_precise_or_its_rounds_are_over() -> None:
    assert measured(2.0, 0.01).rounds == 4
    assert measured(2.0, 0.5).rounds == PLAN.ungated_rounds
    assert measured(2.0, 0.5, is_required=True).launches == 1


def test_an_ungated_speedup_is_not_timed_for_longer_than_it_is_worth() -> None:
    plan = replace(PLAN, ungated_s=0.0)
    brief = measured(2.0, 0.5, plan=plan)
    assert (brief.rounds, brief.launches) == (4, 1)
    assert brief.estimates()["speedup"].low < 2.0 < brief.estimates()["speedup"].high
    gated = measured(1.5, 0.5, plan=plan, required_speedup=1.5)
    assert gated.rounds > PLAN.ungated_rounds
    undecided = Verdict("inconclusive", "memory_undecided", "about the limit")
    assert measured(2.0, plan=plan, max_memory_gb=1.0, others=(undecided,)).launches == 8


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
        """Load nothing but what the process says."""
        self.loaded_as = self.process.described

    def again(self, process: SimpleNamespace) -> FakeArm:
        arm = FakeArm(process)
        arm.first_observed = self.first_observed
        return arm

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

    def make(
        baseline: list[Batch],
        candidate: list[Batch],
        of_other_case: float | None = None,
        later: Described = Described(),  # noqa: B008  frozen in effect: nobody changes it
    ) -> Pair:
        batches = {"baseline": list(baseline), "candidate": list(candidate)}
        events: list[str] = []

        @contextmanager
        def start(role: str, name: str):
            is_first = f"{role} starts" not in events
            events.append(f"{role} starts")
            yield SimpleNamespace(
                pause=lambda: None, batches=batches[role], described=Described() if is_first else later
            )
            events.append(f"{role} ends")

        arms = SimpleNamespace(
            start=start, device="cpu", gpu=None, limits=SimpleNamespace(load_timeout_s=1.0)
        )
        references = SimpleNamespace(
            baseline_outputs=lambda arm, samples, generate: generate(),
            call_for=lambda file, role, name, target: SeenCall(),
            baseline_costs=lambda arm, size, measure: (
                measure() if of_other_case is None else {"step_s": of_other_case, "part_s": {"denoiser": 1.0}}
            ),
        )
        pair = Pair("case", arms, SAMPLES, references, batch_size=2, processes=ExitStack())
        for role in ("candidate", "baseline"):
            pair.load(role, tmp_path / f"{role}.py")
        pair.events = events
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


def test_both_arms_end_before_they_are_started_again_in_an_order_that_is_drawn(make_pair) -> None:
    pair = make_pair([batch([0, 1])], [batch([0, 1])])
    orders = {tuple(pair.relaunch()) for _ in range(40)}
    assert orders == {("baseline", "candidate"), ("candidate", "baseline")}
    ends = {"baseline ends", "candidate ends"}
    assert pair.events[:2] == ["candidate starts", "baseline starts"]
    for place in range(2, len(pair.events), 4):
        assert set(pair.events[place : place + 2]) == ends
        assert set(pair.events[place + 2 : place + 4]) == {"baseline starts", "candidate starts"}
    assert pair.drift == []


def test_each_launch_is_audited_by_one_of_its_own_batches(make_pair) -> None:
    """A candidate that makes other images in its second launch is noticed, though its samples only serve the clock."""
    pair = make_pair([batch([0, 1]), batch([2, 3])], [batch([0, 1]), SAME, batch([6, 7]), batch([6, 7])])
    pair.keep("candidate", [2, 3], SAME)
    pair.audit()
    pair.relaunch()
    pair.audit()
    assert pair.drift == [], "nothing was made in this launch yet"
    pair.keep("candidate", [40, 41], batch([8, 9]))
    assert pair.outputs(2) is not None
    pair.audit()
    assert [entry.field for entry in pair.drift] == [FAR]


def test_a_candidate_that_loads_something_else_in_a_later_launch_is_noticed(make_pair) -> None:
    pair = make_pair([batch([0, 1])], [batch([0, 1])], later=Described(methods={"deepcache": {}}))
    pair.relaunch()
    assert [(entry.field, entry.candidate) for entry in pair.drift] == [
        ("methods in a later launch", {"deepcache": {}})
    ]


def test_half_of_the_samples_are_completed_first_and_the_rest_where_they_are_needed(make_pair) -> None:
    pair = make_pair([batch([0, 1]), batch([2, 3])], [batch([0, 1]), batch([12, 13])])
    pair.complete(1, 2)
    assert pair.outputs(2) is not None
    assert pair.outputs() is None
    pair.complete(1, 4)
    pair.complete(1, 4)
    assert len(pair.outputs()["candidate"]) == 4


def test_a_little_noise_is_no_other_image(make_pair) -> None:
    noisy = batch([2, 3])
    for image in noisy.outputs:
        image[:1] += np.uint8(1) - 2 * (image[:1] == 255).astype(np.uint8)
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
    pair.time_baseline()
    assert pair.step_s == {"baseline": 0.2, "candidate": 0.1}


def test_a_baseline_whose_steps_another_case_timed_makes_no_call_for_them(make_pair) -> None:
    pair = make_pair([batch([0, 1])], [batch([0, 1]), batch([2, 3], step_s=0.1)], of_other_case=0.3)
    pair.keep("candidate", [2, 3], SAME)
    pair.audit()
    pair.time_baseline()
    assert pair.step_s == {"baseline": 0.3, "candidate": 0.1}


def test_a_baseline_that_completes_its_images_makes_no_call_more_for_its_steps(make_pair) -> None:
    pair = make_pair(
        [batch([0, 1]), batch([2, 3], step_s=0.2)], [batch([0, 1]), SAME, batch([2, 3], step_s=0.1)]
    )
    pair.complete(1)
    pair.audit()
    pair.time_baseline()
    assert pair.step_s == {"baseline": 0.2, "candidate": 0.1}


def test_a_baseline_without_steps_makes_no_call_for_them(make_pair) -> None:
    pair = make_pair([batch([0, 1], steps=None, taken=0)], [batch([0, 1]), batch([2, 3], step_s=0.1)])
    pair.keep("candidate", [2, 3], SAME)
    pair.audit()
    pair.time_baseline()
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
