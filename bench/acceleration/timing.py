"""Timed rounds of a pair: alternating, paired, one arm awake at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.acceleration.times import Round, Times

if TYPE_CHECKING:
    from bench.acceleration.host.foreign_load import ForeignLoad
    from bench.acceleration.host.pipeline_arm import Batch, PipelineArm
    from bench.acceleration.prompts import Sample


@dataclass(frozen=True)
class TimingPlan:
    """How long to time.

    Attributes:
        batch_size: samples of one call.
        warmup_rounds: untimed calls of each arm before the first timed round, the first call included.
        max_rounds: timed rounds at most.
        ungated_rounds: the same for a speedup that no gate asks for.
        ungated_precision: how precisely such a speedup is to be known, as half the width of its interval.
        time_budget_s: seconds of timed rounds after which no further round begins.
        max_foreign_load: share of the leased cores' time that others may use before a verdict on speed is undecided.
    """

    batch_size: int = 4
    warmup_rounds: int = 2
    max_rounds: int = 40
    ungated_rounds: int = 10
    ungated_precision: float = 0.1
    time_budget_s: float = 240.0
    max_foreign_load: float = 0.25


class PairedTimer:
    """Runs rounds of a baseline and a candidate.

    Args:
        baseline, candidate: loaded arms that have made their first call.
        sample_at: gives the sample of any index; indices never repeat, so no image can be replayed.
        keep: called with the arm's role, the sample indices and the batch of every call.
        plan: sizes and limits.
        load: measures what else computes during the rounds; None where no cores are leased.
        per: what the arms make of a prompt, ``image`` or ``video``.
    """

    def __init__(
        self,
        baseline: PipelineArm,
        candidate: PipelineArm,
        *,
        sample_at: Callable[[int], Sample],
        keep: Callable[[str, list[int], Batch], None],
        plan: TimingPlan,
        load: ForeignLoad | None = None,
        per: str = "image",
    ) -> None:
        self._arms = {"baseline": baseline, "candidate": candidate}
        self._sample_at, self._keep, self._plan, self._load = sample_at, keep, plan, load
        self.calls = 1  # the first call of both arms made the samples of the first batch
        self.times = Times(
            per=per,
            load_s={role: arm.load_s for role, arm in self._arms.items()},
            first_call_s={role: arm.first_call_s for role, arm in self._arms.items()},
            compile_s={role: arm.compile_s for role, arm in self._arms.items()},
        )
        self._deadline = time.monotonic() + plan.time_budget_s

    @property
    def budget_spent(self) -> bool:
        """Whether no further round may begin."""
        return len(self.times.rounds) >= self._plan.max_rounds or time.monotonic() >= self._deadline

    def warm_up(self) -> None:
        """Make the untimed calls that follow the first one."""
        for _ in range(self._plan.warmup_rounds - 1):
            for role, seconds in self._call_both(("baseline", "candidate"), None).items():
                self.times.warmup_s[role].append(seconds)

    def run_until(self, count: int) -> int:
        """Add timed rounds until there are so many or the budget is spent; return how many there are."""
        while len(self.times.rounds) < count and not self.budget_spent:
            # Alternating cancels drift of the machine, and whatever the first arm does to caches.
            even = len(self.times.rounds) % 2 == 0
            order = ("baseline", "candidate") if even else ("candidate", "baseline")
            seconds = self._call_both(order, self._load)
            self.times.rounds.append(
                Round(
                    first=order[0],
                    baseline_s=seconds["baseline"],
                    candidate_s=seconds["candidate"],
                    images=self._plan.batch_size,
                )
            )
        if self._load is not None:
            self.times.foreign_load = self._load.share
        return len(self.times.rounds)

    def _call_both(self, order: Sequence[str], load: ForeignLoad | None) -> dict[str, float]:
        indices = list(range(self.calls * self._plan.batch_size, (self.calls + 1) * self._plan.batch_size))
        samples = [self._sample_at(index) for index in indices]
        self.calls += 1
        batches = {}
        with nullcontext() if load is None else load.measured():
            for role in order:
                for other, arm in self._arms.items():
                    if other != role:
                        arm.process.pause()
                batches[role] = self._arms[role].generate(samples)
                self._arms[role].process.pause()
        # Kept after both were timed, so that keeping costs neither of them a cold cache.
        for role, batch in batches.items():
            self._keep(role, indices, batch)
        return {role: batch.seconds for role, batch in batches.items()}
