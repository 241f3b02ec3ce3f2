"""Models of a machine's noise, and a measurement that follows ``LaunchTest`` to its end; for calibration.py."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.acceleration.evidence import LEAST_ROUNDS
from bench.acceleration.timing import FIRST_ROUNDS, TimingPlan
from bench.core.gate import Limit, gate
from bench.statistics.launch_costs import is_known, rounds_per_launch
from bench.statistics.launches import LaunchTest, Rounds
from bench.statistics.paired_times import MIN_ROUNDS

Floats = NDArray[np.float64]
Pair = tuple[Floats, Floats]
"""Log times of baseline and candidate, (rounds,) each."""
Shape = Callable[[np.random.Generator, int, float], Pair]
"""Draws the noise within a launch, from the number of rounds and the standard deviation of a log ratio."""

PLAN = TimingPlan()
MOST_FIRST_ROUNDS = max(FIRST_ROUNDS)
LAUNCH_COST = 2.5  # rounds that starting, loading and warming up a pair takes; about that of tiny-sd
STALL_RATE, BURST_RATE, BURST_ROUNDS, DRIFT, CORRELATION = 0.1, 0.1, 2.0, 0.2, 0.3


def plain(rng: np.random.Generator, rounds: int, sd: float) -> Pair:
    """Independent rounds; the arms share the variance."""
    return rng.normal(0, sd / math.sqrt(2), rounds), rng.normal(0, sd / math.sqrt(2), rounds)


def drift(rng: np.random.Generator, rounds: int, sd: float) -> Pair:
    """The machine becomes a fifth slower or faster over the launch; the order of the arms alternates."""
    baseline, candidate = plain(rng, rounds, sd)
    slope = rng.choice([-1, 1]) * math.log1p(DRIFT) / (2 * rounds)
    first, second = 2 * np.arange(rounds), 2 * np.arange(rounds) + 1
    is_odd = np.arange(rounds) % 2 == 1
    return (
        baseline + slope * np.where(is_odd, second, first),
        candidate + slope * np.where(is_odd, first, second),
    )


def bursts(rng: np.random.Generator, rounds: int, sd: float) -> Pair:
    """Other work comes and goes: some rounds in a row are slower by 10 to 50 %, each arm by a factor of its own."""
    baseline, candidate = plain(rng, rounds, sd)
    busy, left = np.zeros(rounds), 0
    for number in range(rounds):
        if left == 0 and rng.random() < BURST_RATE:
            left = int(rng.geometric(1 / BURST_ROUNDS))
        busy[number], left = float(left > 0), max(left - 1, 0)
    return (
        baseline + busy * np.log(rng.uniform(1.1, 1.5, rounds)),
        candidate + busy * np.log(rng.uniform(1.1, 1.5, rounds)),
    )


def autocorrelated(rng: np.random.Generator, rounds: int, sd: float) -> Pair:
    """Rounds are like those before them, AR(1)."""
    shocks = rng.normal(0, sd, rounds)
    shocks[1:] *= math.sqrt(1 - CORRELATION**2)
    for number in range(1, rounds):
        shocks[number] += CORRELATION * shocks[number - 1]
    return shocks, np.zeros(rounds)


def stalls(rng: np.random.Generator, rounds: int, sd: float) -> Pair:
    """In a tenth of the rounds, one of the arms takes 1.5 to 3 times as long."""
    baseline, candidate = plain(rng, rounds, sd)
    stall = (rng.random(rounds) < STALL_RATE) * np.log(rng.uniform(1.5, 3, rounds))
    in_baseline = rng.random(rounds) < 0.5
    return baseline + stall * in_baseline, candidate + stall * ~in_baseline


SHAPES: dict[str, Shape] = {
    "plain": plain,
    "drift": drift,
    "bursts": bursts,
    "autocorrelated": autocorrelated,
    "stalls": stalls,
}


@dataclass(frozen=True)
class Machine:
    """A model of a machine's noise.

    Attributes:
        launch_sd, round_sd: standard deviations of the log ratio, of launches and of rounds within one.
        shape: name of the noise within a launch.
    """

    launch_sd: float
    round_sd: float
    shape: str

    def launch(self, rng: np.random.Generator, ratio: float, rounds: int = MOST_FIRST_ROUNDS) -> Rounds:
        """Draw a launch of a candidate that is ``ratio`` times as fast."""
        baseline, candidate = SHAPES[self.shape](rng, rounds, self.round_sd)
        effect = rng.normal(0, self.launch_sd)
        return Rounds(ratio * np.exp(baseline + effect), np.exp(candidate))


Draw = Callable[[int], Rounds]
"""Gives a launch of so many rounds."""


@dataclass(frozen=True)
class End:
    """Where a measurement ended: its verdict, whether the interval covers the truth, launches and rounds."""

    verdict: str
    covered: bool
    launches: int
    rounds: int


@dataclass(frozen=True)
class Rates:
    """What became of the trials at one true ratio, and the standard error of the rounds that they took."""

    passed: float
    failed: float
    covered: float
    rounds: float
    rounds_se: float

    @classmethod
    def of(cls, ends: Sequence[End]) -> Rates:
        """Return the rates of some measurements."""
        verdicts = [end.verdict for end in ends]
        return cls(
            verdicts.count("pass") / len(ends),
            verdicts.count("fail") / len(ends),
            float(np.mean([end.covered for end in ends])),
            float(np.mean([end.rounds for end in ends])),
            float(np.std([end.rounds for end in ends]) / math.sqrt(len(ends))),
        )


def first_rounds(launch: Rounds, count: int) -> Rounds:
    """Return a launch that ended after so many rounds."""
    return Rounds(np.asarray(launch.baseline_s)[:count], np.asarray(launch.candidate_s)[:count])


def first_launch(drawn: Rounds) -> Rounds:
    """Return a launch with as many rounds as the suite gives the first one."""
    launches = (
        (first_rounds(drawn, count), standard_error) for count, standard_error in FIRST_ROUNDS.items()
    )
    return next(launch for launch, standard_error in launches if is_known(launch, standard_error))


def follow(test: LaunchTest, draw: Draw, null: Rounds, *, truth: float, required: float) -> End:
    """Measure as the suite does: looks at the ends of launches, within the default limits on launches and rounds."""
    launches = [first_launch(draw(MOST_FIRST_ROUNDS))]
    rounds, look, verdict = np.size(launches[0].baseline_s), test.next_look(0), ""
    while look is not None:
        while len(launches) < min(look, PLAN.max_launches):
            noise = test.noise(launches, [null])
            best = rounds_per_launch(noise, launch_s=LAUNCH_COST, round_s=1.0, least=LEAST_ROUNDS)
            wanted = min(best, PLAN.max_rounds - rounds)
            if wanted < MIN_ROUNDS:
                break
            launches.append(draw(wanted))
            rounds += wanted
        speedup = test.speedup(launches, [null])
        verdict = gate(speedup, Limit(bound=required)).verdict
        if verdict != "inconclusive" or len(launches) < look:
            break
        look = test.next_look(look)
    assert speedup.low is not None
    assert speedup.high is not None
    return End(verdict, speedup.low <= truth <= speedup.high, len(launches), rounds)
