"""How fast a candidate is: timed rounds until its gates are decided, or the budget is spent."""

from __future__ import annotations

from collections.abc import Iterator

from bench.acceleration.case import AccelerationCase
from bench.acceleration.gates import judge_latency, judge_speedup, judge_too_few_rounds
from bench.acceleration.times import Times
from bench.acceleration.timing import PairedTimer, TimingPlan
from bench.core.estimate import Estimate
from bench.core.verdict import Verdict
from bench.statistics.paired_times import MIN_ROUNDS
from bench.statistics.sequential import SequentialTest, precise_enough


class SpeedMeasurement:
    """Times a pair and judges what was timed.

    Args:
        case: its limits decide when there are rounds enough.
        timer: runs the rounds.
        plan: sizes and limits.
        seed: of the bootstrap.
    """

    def __init__(self, case: AccelerationCase, timer: PairedTimer, plan: TimingPlan, seed: int) -> None:
        self._case, self._timer, self._plan, self._seed = case, timer, plan, seed
        self._test = SequentialTest()
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
        """How many rounds were timed."""
        return len(self.times.rounds)

    def looks(self) -> Iterator[int]:
        """Time rounds, and yield their number wherever they may be judged; the last time when the budget is spent."""
        self._timer.warm_up()
        look = self._test.next_look(0)
        while look is not None:
            rounds = self._timer.run_until(look)
            yield rounds
            if rounds < look:
                return
            look = self._test.next_look(rounds)

    def estimates(self) -> dict[str, Estimate]:
        """Return ``speedup`` and ``latency_s``; nothing where there are too few rounds for an interval."""
        if self.rounds >= MIN_ROUNDS and self._estimated_at != self.rounds:
            baseline_s, candidate_s = (self.times.per_output_s(role) for role in ("baseline", "candidate"))
            self._estimates = {
                "speedup": self._test.interval(baseline_s, candidate_s, seed=self._seed),
                "latency_s": self._test.latency_interval(candidate_s, seed=self._seed),
            }
            self._estimated_at = self.rounds
        return self._estimates

    def judge(self) -> tuple[Verdict, Verdict]:
        """Return the verdicts on latency and speedup."""
        found = self.estimates()
        if not found:
            return judge_too_few_rounds(self._case, self.rounds, MIN_ROUNDS)
        return (
            judge_latency(found["latency_s"], self._case.max_latency_s, self.rounds, self.times.per),
            judge_speedup(found["speedup"], self._case.required_speedup, self.rounds),
        )

    def is_decided(self) -> bool:
        """Whether more rounds would change nothing: every gate is decided, or an ungated speedup is known well enough."""
        if any(verdict.verdict == "inconclusive" for verdict in self.judge()):
            return False
        if self._case.is_speed_gated or self._case.is_control:  # nobody reads how fast a control is
            return True
        speedup = self.estimates().get("speedup")
        return self.rounds >= self._plan.ungated_rounds or (
            speedup is not None and precise_enough(speedup, self._plan.ungated_precision)
        )
