"""Timed rounds of a pair: alternating, paired, one arm awake at a time, in launches."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec

from bench.acceleration.times import Launch, Round, Times

if TYPE_CHECKING:
    from bench.acceleration.host.card import Card
    from bench.acceleration.host.card_watch import CardWatch
    from bench.acceleration.host.foreign_load import ForeignLoad
    from bench.acceleration.host.pipeline_arm import Batch
    from bench.acceleration.host.process import ArmProcess
    from bench.acceleration.prompts import Sample
    from bench.machine.cores import Core

ROLES = ("baseline", "candidate")
FIRST_ROUNDS: Mapping[int, float] = {4: 0.03, 6: 0.06, 8: 0.06, 10: math.inf}
"""Timed rounds of the first launch, which decides clear cases: it ends after the first of these numbers at which the log
ratio is known to this standard error, by the scatter of the rounds alone. All are even, so that each arm begins equally
often. Of four rounds two may be stalled, and a launch more costs more than the saved rounds are worth; so they are enough
only where they agree. After ten, a further launch is the better use of the time."""


@dataclass(frozen=True)
class TimingPlan:
    """How long to time.

    Attributes:
        batch_size: samples of one call.
        warmup_rounds: untimed calls of each arm before the first timed round of a launch, its first call included.
        max_rounds: timed rounds at most, of all launches.
        ungated_rounds: the same for a speedup that no gate asks for.
        ungated_precision: how precisely such a speedup is to be known, as half the width of its interval.
        ungated_s: seconds of timed rounds after which such a speedup gets no more of them, once it has an interval.
        time_budget_s: seconds of timed rounds and further launches after which no further round begins.
        max_foreign_load: share of the leased cores' time that others may use before a verdict on speed is undecided.
        max_launches: how often the pair is started at most.
    """

    batch_size: int = 4
    warmup_rounds: int = 2
    max_rounds: int = 48
    ungated_rounds: int = 10
    ungated_precision: float = 0.25
    ungated_s: float = 20.0
    time_budget_s: float = 240.0
    max_foreign_load: float = 0.25
    max_launches: int = 8


class TimedArm(Protocol):
    """What is timed: `bench.acceleration.host.pipeline_arm.PipelineArm`, or a part of its calls."""

    @property
    def process(self) -> ArmProcess:
        """Is woken by a call, and put to sleep after it."""

    @property
    def load_s(self) -> float | None:
        """Seconds of loading."""

    @property
    def first_call_s(self) -> float | None:
        """Seconds of its first call."""

    @property
    def compile_s(self) -> float | None:
        """Seconds of compiling in it."""

    def generate(self, samples: list[Sample]) -> Batch:
        """Make an image or video of each sample."""

    def generate_first(self, samples: list[Sample]) -> Batch:
        """The same in the first call of a later launch."""


class PairedTimer:
    """Runs rounds of a baseline and a candidate, launch by launch.

    Args:
        baseline, candidate: loaded arms that have made their first call.
        sample_at: gives the sample of any index; indices never repeat, so no image can be replayed.
        keep: called with the arm's role, the sample indices and the batch of every call.
        plan: sizes and limits.
        load: measures what else computes during the rounds; None where no cores are leased.
        per: what the arms make of a prompt, ``image`` or ``video``.
        card: the GPU that the arms share, and what reads it between rounds; None on a processor.
        cores: the leased ones, for the record.
        order: in which the arms were started.
        calls: how many batches both arms have made.
    """

    def __init__(
        self,
        baseline: TimedArm,
        candidate: TimedArm,
        *,
        sample_at: Callable[[int], Sample],
        keep: Callable[[str, list[int], Batch], None],
        plan: TimingPlan,
        load: ForeignLoad | None = None,
        per: str = "image",
        card: tuple[Card, CardWatch] | None = None,
        cores: Sequence[Core] = (),
        order: Sequence[str] = ("candidate", "baseline"),
        calls: int = 1,  # the first call of both arms made the samples of the first batch
    ) -> None:
        self._sample_at, self._keep, self._plan, self._load, self._card = sample_at, keep, plan, load, card
        self._cores = [list(core) for core in cores]
        self.calls = calls
        self.times = Times(per=per)
        self._enter(baseline, candidate, order)
        first = self.times.launches[0]
        first.first_call_s = {role: arm.first_call_s for role, arm in self._arms.items()}
        # The record shows the first launch here too, as it did when there was only one.
        self.times.load_s, self.times.first_call_s = first.load_s, first.first_call_s
        self.times.warmup_s = first.warmup_s
        self.times.compile_s = {role: arm.compile_s for role, arm in self._arms.items()}
        self._began = time.monotonic()
        self._deadline = self._began + plan.time_budget_s

    def _enter(self, baseline: TimedArm, candidate: TimedArm, order: Sequence[str]) -> None:
        self._arms = {"baseline": baseline, "candidate": candidate}
        launch = Launch(
            order=list(order),
            cores=self._cores,
            load_s={role: arm.load_s for role, arm in self._arms.items()},
        )
        self.times.launches.append(launch)
        self._first = secrets.choice(ROLES)  # the arm that begins, and then every other round

    @property
    def launch(self) -> Launch:
        """The launch that is timed at the moment."""
        return self.times.launches[-1]

    @property
    def left_s(self) -> float:
        """Seconds of the budget that are left."""
        return self._deadline - time.monotonic()

    @property
    def spent_s(self) -> float:
        """Seconds since the timing began, without those that were not the pair's."""
        return self._plan.time_budget_s - self.left_s

    @property
    def budget_spent(self) -> bool:
        """Whether no further round may begin."""
        return len(self.times.rounds) >= self._plan.max_rounds or self.left_s <= 0

    def postpone(self, seconds: float) -> None:
        """Add seconds to the budget: they were spent on something that all cases of the run share."""
        self._deadline += seconds

    def relaunched(self, baseline: TimedArm, candidate: TimedArm, order: Sequence[str]) -> None:
        """Go on with arms that were started again; they are loaded and have made no call."""
        self._enter(baseline, candidate, order)
        self.launch.first_call_s = dict(self._call_both(order, None, is_first=True))

    def warm_up(self) -> None:
        """Make the untimed calls that follow the first one of the launch."""
        for _ in range(self._plan.warmup_rounds - 1):
            for role, seconds in self._call_both(ROLES, None).items():
                self.launch.warmup_s[role].append(seconds)

    def run_until(self, count: int) -> int:
        """Add timed rounds until the launch has so many or the budget is spent; return how many it has."""
        launch = self.launch
        while launch.rounds < count and not self.budget_spent:
            # Alternating cancels drift of the machine, and whatever the first arm does to caches.
            starts_first = launch.rounds % 2 == 0
            first = self._first if starts_first else next(role for role in ROLES if role != self._first)
            seconds = self._call_both(sorted(ROLES, key=lambda role: role != first), self._load)
            self.times.rounds.append(
                Round(
                    first=first,
                    baseline_s=seconds["baseline"],
                    candidate_s=seconds["candidate"],
                    images=self._plan.batch_size,
                    launch=len(self.times.launches) - 1,
                )
            )
            launch.rounds += 1
            if self._card is not None:
                self._card[1].look()
        if self._card is not None:
            card, watch = self._card
            self.times.card = msgspec.structs.replace(watch.times(), sharing=card.sharing)
        if self._load is not None:
            self.times.foreign_load = self._load.share
        return launch.rounds

    def _call_both(
        self, order: Sequence[str], load: ForeignLoad | None, *, is_first: bool = False
    ) -> dict[str, float]:
        indices = list(range(self.calls * self._plan.batch_size, (self.calls + 1) * self._plan.batch_size))
        samples = [self._sample_at(index) for index in indices]
        self.calls += 1
        batches = {}
        with nullcontext() if load is None else load.measured():
            for role in order:
                for other, arm in self._arms.items():
                    if other != role:
                        arm.process.pause()
                arm = self._arms[role]
                batches[role] = arm.generate_first(samples) if is_first else arm.generate(samples)
                arm.process.pause()
        # Kept after both were timed, so that keeping costs neither of them a cold cache.
        for role, batch in batches.items():
            self._keep(role, indices, batch)
        return {role: batch.seconds for role, batch in batches.items()}
