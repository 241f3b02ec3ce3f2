"""Launches of a pair, with rounds in each, until its gates are decided or the budget is spent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench.acceleration.cache import ContentCache
from bench.acceleration.case import AccelerationCase
from bench.acceleration.host.arm_factory import ArmFactory, visible_gpu
from bench.acceleration.host.card_watch import CardWatch
from bench.acceleration.host.foreign_load import ForeignLoad
from bench.acceleration.memory_use import judge_launches, note_memory
from bench.acceleration.null_launch import counted
from bench.acceleration.pair import Pair
from bench.acceleration.prompts import SampleStream
from bench.acceleration.record import Memory
from bench.acceleration.speed import SpeedMeasurement
from bench.acceleration.timing import PairedTimer, TimingPlan
from bench.core.requirement import Requirement, required_gates
from bench.core.verdict import Verdict
from bench.statistics.launches import Rounds

SPEED_METRICS = ("speedup", "latency_s")


@dataclass(frozen=True)
class Launching:
    """Launches a pair.

    Attributes:
        case: the case.
        pair: its loaded arms.
        arms: what they run on.
        samples: prompts and seeds.
        cache: the run's.
        plan: sizes and limits of the timing.
        requirements: of the run.
        memory: of the record.
    """

    case: AccelerationCase
    pair: Pair
    arms: ArmFactory
    samples: SampleStream
    cache: ContentCache
    plan: TimingPlan
    requirements: Sequence[Requirement]
    memory: Memory

    @property
    def _required(self) -> list[Requirement]:
        """What the run requires of the speed."""
        return [one for one in self.requirements if one.metric in SPEED_METRICS and one.asks(self.case)]

    def measure(self, look: Callable[[SpeedMeasurement], bool]) -> SpeedMeasurement:
        """Launch and time the pair until everything that depends on it is decided.

        Args:
            look: is told of each look, and says whether the rest of the case cannot pass any more.
        """
        pair, on_gpu = self.pair, self.arms.gpu is not None
        load = None if on_gpu else ForeignLoad(self.arms.cores, pair.pids)
        card = None
        if self.arms.gpu is not None and pair.card is not None:
            card = (pair.card, CardWatch(visible_gpu(self.arms.environment, self.arms.gpu), pair.pids))
        timer = PairedTimer(
            pair.baseline, pair.candidate,
            sample_at=self.samples.at, keep=pair.keep, plan=self.plan, load=load, per=pair.noun, cores=self.arms.cores,
            card=card,
        )  # fmt: skip

        if not on_gpu:
            timer.times.threads = pair.baseline.threads
            timer.times.thread_s = {str(count): seconds for count, seconds in pair.paces.items()}

        def relaunch() -> None:
            pair.audit()
            note_memory(self.memory, timer.times, pair, on_gpu=on_gpu)
            order = pair.relaunch()
            if load is not None:
                load.watch(pair.pids)
            if card is not None:
                card[1].watch(pair.pids)
            timer.relaunched(pair.baseline, pair.candidate, order)

        def null() -> Sequence[Rounds]:
            if self.case.required_speedup is None and not self._required:
                return ()
            timer.times.null = pair.null_launch(
                self.cache, self.plan, of_memory=self.case.max_memory_gb is not None
            )
            return counted(timer.times.null)

        speed = SpeedMeasurement(
            self.case, timer, self.plan, relaunch=relaunch, null=null, is_required=bool(self._required)
        )
        with pair.asking_both():
            for _ in speed.looks():
                cannot_pass = look(speed)
                note_memory(self.memory, timer.times, pair, on_gpu=on_gpu)
                if pair.is_broken or cannot_pass or speed.is_decided(self._others(speed)):
                    break
        return speed

    def _others(self, speed: SpeedMeasurement) -> Iterable[Verdict]:
        """Return the verdicts of further gates that more launches can decide."""
        yield judge_launches(self.memory, speed.times)
        yield from required_gates(self._required, self.case, speed.estimates()).values()
