"""A launch of a baseline against itself: how far two launches of one pipeline differ on this machine, once per run.

Its ratio is 1 but for noise, so that a gap which is no larger is not decided in the first launch of a pair. Its rounds have
one sample, and end after some calls of the denoiser, which most of a call is: they are shorter and scatter more than those
of a pair, so that launches look further apart if anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from bench.acceleration.cache import ContentCache
from bench.acceleration.evidence import per_output
from bench.acceleration.host.arm_factory import ArmFactory
from bench.acceleration.host.own_call import SeenCall
from bench.acceleration.host.pipeline_arm import Batch, PipelineArm
from bench.acceleration.host.process import ArmProcess
from bench.acceleration.prompts import Sample, SampleStream
from bench.acceleration.protocol.messages import Observed
from bench.acceleration.times import NullLaunch
from bench.acceleration.timing import PairedTimer, TimedArm, TimingPlan
from bench.core.errors import INFRASTRUCTURE, ArmProblem
from bench.statistics.launch_costs import is_known
from bench.statistics.launches import ASSUMED_LAUNCH_SD, Rounds
from bench.statistics.paired_times import MIN_ROUNDS

NULL_ROUNDS = (MIN_ROUNDS, 2 * MIN_ROUNDS)
"""Rounds of the launch, and those of one whose first rounds say less than is assumed beforehand."""
DENOISER_CALLS = 8
"""After so many a call of the launch ends, on a processor."""
# Far behind all samples of the pairs, so that no pair repeats an image that was made here.
_FIRST_BATCH = 1_000_000


def null_launch(
    cache: ContentCache,
    arms: ArmFactory,
    baseline: PipelineArm,
    seen: SeenCall,
    *,
    case_id: str,
    samples: SampleStream,
    plan: TimingPlan,
    of_memory: bool,
) -> NullLaunch:
    """Return the run's launch of a baseline against itself, measured by the first case that needs it.

    Args:
        cache: the run's.
        arms: starts a second process of the baseline.
        baseline: of the case, warm.
        seen: how it is called.
        case_id: for the record.
        samples: prompts and seeds.
        plan: sizes of the timing.
        of_memory: whether the peaks of both are wanted too, and so a whole call of the second process.
    """

    def measure() -> NullLaunch:
        found = NullLaunch(of=case_id)
        try:
            _measure(found, arms, baseline, seen, samples, plan, of_memory=of_memory)
        except ArmProblem as problem:
            if problem.reason_code in INFRASTRUCTURE:
                raise
            # It says nothing of the candidate: there may be no memory for another process of the baseline.
            found.problem, found.rounds = str(problem), []
        return found

    key = cache.key("null launch", arms.device, len(arms.cores), baseline.threads, of_memory)
    return msgspec.convert(cache.once_json(key, lambda: msgspec.to_builtins(measure())), NullLaunch)


@dataclass(frozen=True)
class _Begun:
    """An arm whose calls end after some calls of its denoiser, so that they make nothing."""

    arm: PipelineArm
    load_s: float | None = None
    first_call_s: float | None = None
    compile_s: float | None = None

    @property
    def process(self) -> ArmProcess:
        return self.arm.process

    def generate(self, samples: list[Sample]) -> Batch:
        return Batch([], self.arm.begin(samples, DENOISER_CALLS), Observed(), not_finite=False)

    generate_first = generate


def _measure(
    found: NullLaunch,
    arms: ArmFactory,
    baseline: PipelineArm,
    seen: SeenCall,
    samples: SampleStream,
    plan: TimingPlan,
    *,
    of_memory: bool,
) -> None:
    def keep(role: str, indices: list[int], batch: Batch) -> None:
        """Keep nothing: the images only serve the clock."""

    is_whole = arms.gpu is not None
    with arms.start("baseline", f"{found.of}.again") as process:
        other = baseline.again(process)
        other.load(seen)
        timed: list[TimedArm] = [one if is_whole else _Begun(one) for one in (baseline, other)]
        timer = PairedTimer(
            *timed, sample_at=samples.at, keep=keep, calls=_FIRST_BATCH,
            plan=replace(
                plan, batch_size=1, warmup_rounds=max(plan.warmup_rounds, 2), max_rounds=NULL_ROUNDS[-1],
                time_budget_s=max(plan.time_budget_s, 1.0),
            ),
        )  # fmt: skip
        first = [samples.at(_FIRST_BATCH * plan.batch_size - 1 - index) for index in range(plan.batch_size)]
        (other if of_memory or is_whole else timed[1]).generate_first(first)
        process.pause()
        timer.warm_up()
        for rounds in NULL_ROUNDS:
            timer.run_until(rounds)
            if says_enough(per_output(timer.times.rounds)):
                break
        found.rounds = timer.times.rounds
        if of_memory and not is_whole:
            found.peak_bytes = {"baseline": baseline.peak_bytes(), "candidate": other.peak_bytes()}
    baseline.process.pause()


def says_enough(launch: Rounds) -> bool:
    """Whether the ratio of a launch is known as well as the scatter of launches that is assumed beforehand."""
    return is_known(launch, ASSUMED_LAUNCH_SD)


def counted(null: NullLaunch | None) -> Sequence[Rounds]:
    """Return its rounds as the interval counts them; nothing where it was not measured, or cut short."""
    return [] if null is None or len(null.rounds) < MIN_ROUNDS else [per_output(null.rounds)]
