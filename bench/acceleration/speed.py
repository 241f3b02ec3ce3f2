"""How fast a candidate is: launches of timed rounds until its gates are decided, or the budget is spent."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from bench.acceleration.case import AccelerationCase
from bench.acceleration.evidence import Evidence, by_launch, per_output
from bench.acceleration.gates import judge_latency, judge_speedup, judge_too_few_rounds
from bench.acceleration.times import Times
from bench.acceleration.timing import FIRST_ROUNDS, PairedTimer, TimingPlan
from bench.core.estimate import Estimate
from bench.core.verdict import Verdict
from bench.statistics.launch_costs import is_known
from bench.statistics.launches import LaunchTest, Rounds, looks_up_to
from bench.statistics.paired_times import MIN_ROUNDS
from bench.statistics.sequential import precise_enough


def _no_null() -> Sequence[Rounds]:
    return ()


class SpeedMeasurement:
    """Times a pair and judges what was timed.

    Args:
        case: its limits decide when there are launches enough.
        timer: runs the rounds.
        plan: sizes and limits.
        relaunch: starts both arms again, and tells the timer; it is called between launches.
        null: returns launches of a pipeline against itself; called once, when the first launch is judged.
        is_required: whether the run asks for the speed by ``--require``, whatever the case says.
    """

    def __init__(
        self,
        case: AccelerationCase,
        timer: PairedTimer,
        plan: TimingPlan,
        *,
        relaunch: Callable[[], None],
        null: Callable[[], Sequence[Rounds]] = _no_null,
        is_required: bool = False,
    ) -> None:
        self._case, self._timer, self._plan, self._relaunch, self._measure_null = (
            case, timer, plan, relaunch, null,
        )  # fmt: skip
        # Nobody reads how fast a control is.
        self._is_gated = case.is_speed_gated or case.is_control or is_required
        self._test = LaunchTest(looks=looks_up_to(plan.max_launches))
        self._null: Sequence[Rounds] | None = None
        self._estimated_at = 0
        self._estimates: dict[str, Estimate] = {}

    @property
    def times(self) -> Times:
        """Everything that was timed."""
        return self._timer.times

    @property
    def calls(self) -> int:
        """How many batches both arms have made, their first one included."""
        return self._timer.calls

    @property
    def rounds(self) -> int:
        """How many rounds were timed, in all launches."""
        return len(self.times.rounds)

    @property
    def launches(self) -> int:
        """How many launches have rounds enough to count."""
        return sum(launch.rounds >= MIN_ROUNDS for launch in self.times.launches)

    @property
    def _decides_a_gate(self) -> bool:
        """Whether a gate waits for the rounds: of the speed, or of the memory that their launches take."""
        return self._is_gated or self._case.max_memory_gb is not None

    @property
    def _most_rounds(self) -> int:
        return (
            self._plan.max_rounds
            if self._decides_a_gate
            else min(self._plan.ungated_rounds, self._plan.max_rounds)
        )

    @property
    def _is_long_enough(self) -> bool:
        """Whether a speedup that no gate asks for has been timed for as long as it is worth."""
        return not self._decides_a_gate and self._timer.spent_s >= self._plan.ungated_s

    def looks(self) -> Iterator[int]:
        """Time launches, and yield the number of rounds wherever they may be judged; the last time when nothing is left."""
        self._timer.warm_up()
        for rounds, standard_error in FIRST_ROUNDS.items():
            done = self._timer.run_until(min(rounds, self._most_rounds))
            if (
                done < rounds
                or self._is_long_enough
                or is_known(per_output(self.times.rounds), standard_error)
            ):
                break
        look = self._test.next_look(0)
        while look is not None:
            while self.launches < look and self._may_launch():
                rounds = min(self.evidence().next_rounds, self._most_rounds - self.rounds)
                self._relaunch()
                self._timer.warm_up()
                self._timer.run_until(rounds)
            yield self.rounds
            if self.launches < look:
                return
            look = self._test.next_look(self.launches)

    def _may_launch(self) -> bool:
        """Whether the budget has room for another launch that counts."""
        evidence = self.evidence()
        return (
            len(self.times.launches) < self._plan.max_launches
            and not self._is_long_enough
            and self.launches == len(self.times.launches)  # a launch that was cut short was the last
            and self.rounds + MIN_ROUNDS <= self._most_rounds
            and self._timer.left_s > evidence.launch_s + MIN_ROUNDS * evidence.round_s
        )

    def evidence(self, *, of_latency: bool = False) -> Evidence:
        """Return what the estimate of the speedup stands on, or that of the latency, in which nothing cancels."""
        counted, times, null = by_launch(self.times), self.times, self._null or ()
        if of_latency:
            counted, null = (
                [Rounds(one.candidate_s, np.ones(np.shape(one.candidate_s))) for one in counted],
                (),
            )
        return Evidence(
            launches=self.launches,
            rounds=self.rounds,
            noise=self._test.noise(counted, null) if counted else None,
            launch_s=statistics.fmean(launch.cost_s for launch in times.launches),
            round_s=statistics.median(one.baseline_s + one.candidate_s for one in times.rounds)
            if times.rounds
            else 0.0,
            spent_s=self._timer.spent_s,
        )

    def estimates(self) -> dict[str, Estimate]:
        """Return ``speedup`` and ``latency_s``; nothing where no launch has rounds enough for an interval."""
        counted = by_launch(self.times)
        if counted and self._estimated_at != self.rounds:
            self._estimates = {
                "speedup": self._test.speedup(counted, self._known_null()),
                "latency_s": self._test.latency([one.candidate_s for one in counted]),
            }
            self._estimated_at = self.rounds
        return self._estimates

    def _known_null(self) -> Sequence[Rounds]:
        if self._null is None:
            began = time.monotonic()
            self._null = self._measure_null()
            self._timer.postpone(time.monotonic() - began)
        return self._null

    def judge(self) -> tuple[Verdict, Verdict]:
        """Return the verdicts on latency and speedup."""
        found = self.estimates()
        if not found:
            return judge_too_few_rounds(self._case, self.rounds, MIN_ROUNDS)
        return (
            judge_latency(
                found["latency_s"], self._case.max_latency_s, self.evidence(of_latency=True), self.times.per
            ),
            judge_speedup(found["speedup"], self._case.required_speedup, self.evidence()),
        )

    def is_decided(self, others: Iterable[Verdict] = ()) -> bool:
        """Whether more launches would change nothing.

        One gate has failed, so that no other can turn the case into a pass; or every gate is decided, and an ungated speedup
        is known well enough, or was timed for long enough.

        Args:
            others: verdicts of further gates that more launches can decide.
        """
        words = {verdict.verdict for verdict in (*self.judge(), *others)}
        if "fail" in words:
            return True
        if "inconclusive" in words:
            return False
        if self._is_gated:
            return True
        speedup = self.estimates().get("speedup")
        return (
            self.rounds >= self._plan.ungated_rounds
            or self._is_long_enough
            or (speedup is not None and precise_enough(speedup, self._plan.ungated_precision))
        )
