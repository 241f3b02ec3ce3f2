"""What a verdict on time or memory stands on: launches, rounds, how much they scatter, and what more of them would take."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.acceleration.times import Round, Times
from bench.core.estimate import Estimate
from bench.core.names import counted
from bench.statistics.launch_costs import launches_needed, rounds_per_launch
from bench.statistics.launches import ASSUMED_PEAK_SD, LaunchTest, Noise, Rounds
from bench.statistics.paired_times import MIN_ROUNDS

ROLES = ("baseline", "candidate")
LEAST_ROUNDS = 6
"""Rounds of a launch: of four, two may be stalled."""
MOST_ADVISED = 64
"""Launches above which no budget is advised: it would take hours, and a quieter machine takes minutes."""
_MARGIN = 1.2  # what is advised above what is needed, since noise does not stay as it was
QUIETER = "a quieter machine, fewer workers (-n) or --exclusive make it surer"


def by_launch(times: Times) -> list[Rounds]:
    """Return the seconds per image, or per video, of the launches with rounds enough to count."""
    rounds: list[list[Round]] = [[] for _ in times.launches]
    for entry in times.rounds:
        rounds[entry.launch].append(entry)
    return [per_output(of_one) for of_one in rounds if len(of_one) >= MIN_ROUNDS]


def per_output(rounds: Sequence[Round]) -> Rounds:
    """Return the seconds per image, or per video, of the rounds of a launch."""
    return Rounds(
        [entry.baseline_s / entry.images for entry in rounds],
        [entry.candidate_s / entry.images for entry in rounds],
    )


def peak_of_candidate(times: Times) -> Estimate | None:
    """Return the candidate's peak of memory over launches, None where no launch could be read.

    A launch of the baseline against itself shows how far peaks differ; it is read of resident memory only.
    """
    found = [launch.peak_bytes.get("candidate") for launch in times.launches]
    peaks = [value for value in found if value]
    if not peaks:
        return None
    one, other = (None, None) if times.null is None else (times.null.peak_bytes.get(role) for role in ROLES)
    return LaunchTest().peak(peaks, [one / other] if one and other else [])


@dataclass(frozen=True)
class Evidence:
    """What an estimate of time stands on.

    Attributes:
        launches, rounds: how many were timed.
        noise: how much they scatter; None where that is not known.
        launch_s, round_s: what a further launch costs before its first round, and a round.
        spent_s: seconds of the timing until now.
    """

    launches: int
    rounds: int
    noise: Noise | None = None
    launch_s: float = 0.0
    round_s: float = 0.0
    spent_s: float = 0.0

    def text(self) -> str:
        """Return how much was timed.

        Example:
            >>> Evidence(1, 6).text(), Evidence(3, 24).text()
            ('1 launch, 6 rounds', '3 launches, 24 rounds')
        """
        return f"{counted(self.launches, 'launch', 'launches')}, {counted(self.rounds, 'round')}"

    @property
    def next_rounds(self) -> int:
        """How many rounds a further launch should have, so that the interval narrows fastest."""
        if self.noise is None or not (self.launch_s > 0 and self.round_s > 0):
            return LEAST_ROUNDS
        return rounds_per_launch(self.noise, launch_s=self.launch_s, round_s=self.round_s, least=LEAST_ROUNDS)

    def advice(self, estimate: Estimate, bound: float) -> str:
        """Return the noise and what would decide whether an estimate is above or below its limit, both in figures.

        Args:
            estimate: whose interval contains the limit.
            bound: the limit.
        """
        if self.noise is None or not estimate.value or not bound > 0 or not math.isfinite(estimate.value):
            return f"raise --time-budget, --max-rounds and --max-launches; {QUIETER}"
        seen = self.noise.text()
        gap = abs(math.log(estimate.value / bound))
        rounds = self.next_rounds
        needed = MOST_ADVISED + 1
        if gap > 0:
            needed = math.ceil(_MARGIN * launches_needed(self.noise, gap, rounds=rounds))
        needed = max(needed, self.launches + 1)
        if needed > MOST_ADVISED:
            return (
                f"{seen}; {100 * gap:.1f} % from the limit is too close for {MOST_ADVISED} launches at this noise: "
                f"{QUIETER}"
            )
        more = needed - self.launches
        more_s = more * (self.launch_s + rounds * self.round_s)
        return (
            f"{seen}; at this noise about {needed} launches decide, {more_s:.0f} s more: raise --max-launches to {needed}, "
            f"--max-rounds to {self.rounds + more * rounds} and --time-budget to {self.spent_s + _MARGIN * more_s:.0f}; "
            f"{QUIETER}"
        )


def peak_advice(times: Times, peak: Estimate | None, allowed_bytes: int | None) -> str:
    """Return how far the candidate's peaks of memory scatter and what would decide about them, both in figures."""
    if peak is None or not peak.value or not allowed_bytes:
        return "measure more launches"
    logs = [math.log(value) for launch in times.launches if (value := launch.peak_bytes.get("candidate"))]
    # Few launches that agree by chance are no reason to expect that all do.
    scatter = max(statistics.stdev(logs) if len(logs) > 1 else 0.0, ASSUMED_PEAK_SD)
    gap = abs(math.log(peak.value / allowed_bytes))
    needed = MOST_ADVISED + 1
    if gap > 0:
        noise = Noise(launch_sd=scatter, round_sd=0.0, rounds=1, launches=len(logs), null=())
        needed = max(math.ceil(_MARGIN * launches_needed(noise, gap, rounds=1)), len(logs) + 1)
    seen = f"peaks of launches are taken to scatter by {100 * scatter:.1f} %"
    if needed > MOST_ADVISED:
        return f"{seen}; {100 * gap:.1f} % from the limit is too close for {MOST_ADVISED} launches; change the limit"
    cost_s = statistics.fmean(launch.cost_s for launch in times.launches)
    return (
        f"{seen}; about {needed} launches decide, each of {cost_s:.0f} s and its rounds: raise --max-launches to {needed}, "
        "and --max-rounds and --time-budget with it"
    )
