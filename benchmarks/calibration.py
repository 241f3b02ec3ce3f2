"""How often a verdict over launches is wrong, by simulation: the evidence for `bench/statistics/launches.py`.

    python benchmarks/calibration.py [--trials 400] [--seed 1]     # some minutes on one core
    python benchmarks/calibration.py --trials 400 --launch-sd 0.03 --round-sd 0.06 --shapes plain stalls

Each trial draws pairs of launches from a model of a machine's noise, and one pair of the same pipeline against itself, and
follows ``LaunchTest`` to its end. The grid is the scatter of launches (0 to 5 %), that of rounds (1 to 10 %), and the shape
of the noise within a launch. Printed for each point of it:

- for a candidate exactly at its requirement: how often it passes and how often it fails (each is allowed in 5 % of trials);
- how often the interval at the end covers the truth, the least over all candidates (94 % is demanded);
- for candidates 1.1 and 1.5 times as fast as required: how often they pass, and after how many rounds;
- the rounds of the clear one as a multiple of those of ``SequentialTest``, which knows no launches;
- how often the interval of ``ratio_interval`` on as many rounds of a single launch covers the truth.

The standard error of a rate p is sqrt(p (1 - p) / trials). All times are drawn; no model runs.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.core.gate import Limit, gate
from bench.statistics.launches import LaunchTest, Rounds
from bench.statistics.paired_times import ratio_interval
from bench.statistics.sequential import SequentialTest

Floats = NDArray[np.float64]
Pair = tuple[Floats, Floats]
"""Log times of baseline and candidate, (rounds,) each."""
Shape = Callable[[np.random.Generator, int, float], Pair]
"""Draws the noise within a launch, from the number of rounds and the standard deviation of a log ratio."""

REQUIRED = 1.3
ROUNDS = 6  # of a launch
LAUNCH_SDS, ROUND_SDS = (0.0, 0.01, 0.03, 0.05), (0.01, 0.03, 0.06, 0.10)
OVERS = (1.0, 1.1, 1.5)
STALL_RATE, BURST_RATE, BURST_ROUNDS, DRIFT, CORRELATION = 0.1, 0.1, 2.0, 0.2, 0.3
RESAMPLES = 500
LEAST_COVERAGE, MOST_WRONG = 0.94, 0.05


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

    def launch(self, rng: np.random.Generator, ratio: float, rounds: int = ROUNDS) -> Rounds:
        """Draw a launch of a candidate that is ``ratio`` times as fast."""
        baseline, candidate = SHAPES[self.shape](rng, rounds, self.round_sd)
        effect = rng.normal(0, self.launch_sd)
        return Rounds(ratio * np.exp(baseline + effect), np.exp(candidate))


@dataclass(frozen=True)
class Rates:
    """What became of the trials at one true ratio."""

    passed: float
    failed: float
    covered: float
    launches: float


def follow(
    test: LaunchTest, machine: Machine, truth: float, rng: np.random.Generator
) -> tuple[str, bool, int]:
    """Return the verdict at the end, whether the interval covers the truth, and the launches that it took."""
    null = [machine.launch(rng, 1.0)]
    launches: list[Rounds] = []
    look = test.next_look(0)
    while look is not None:
        launches += [machine.launch(rng, truth) for _ in range(look - len(launches))]
        speedup = test.speedup(launches, null)
        verdict = gate(speedup, Limit(bound=REQUIRED)).verdict
        if verdict != "inconclusive":
            break
        look = test.next_look(look)
    assert speedup.low is not None
    assert speedup.high is not None
    return verdict, speedup.low <= truth <= speedup.high, len(launches)


def rates(test: LaunchTest, machine: Machine, over: float, trials: int, seed: int) -> Rates:
    """Return what becomes of a candidate ``over`` times as fast as required."""
    rng = np.random.default_rng(seed)
    outcomes = [follow(test, machine, REQUIRED * over, rng) for _ in range(trials)]
    verdicts, covered, launches = zip(*outcomes, strict=True)
    return Rates(
        verdicts.count("pass") / trials,
        verdicts.count("fail") / trials,
        float(np.mean(covered)),
        float(np.mean(launches)),
    )


def rounds_today(machine: Machine, over: float, trials: int, seed: int) -> float:
    """Return the mean rounds of the test that knows no launches, all of them in one launch."""
    rng = np.random.default_rng(seed)
    test = SequentialTest(resamples=RESAMPLES)
    taken = []
    for trial in range(trials):
        one = machine.launch(rng, REQUIRED * over, max(test.looks))
        baseline_s, candidate_s = np.asarray(one.baseline_s), np.asarray(one.candidate_s)
        for rounds in test.looks:
            speedup = test.interval(baseline_s[:rounds], candidate_s[:rounds], trial)
            if gate(speedup, Limit(bound=REQUIRED)).verdict != "inconclusive":
                break
        taken.append(rounds)
    return float(np.mean(taken))


def coverage_of_one_launch(machine: Machine, trials: int, seed: int) -> float:
    """Return how often the interval of one launch, with as many rounds as all launches have, covers the truth."""
    rng = np.random.default_rng(seed)
    rounds = ROUNDS * max(LaunchTest().looks)
    hits = 0
    for trial in range(trials):
        one = machine.launch(rng, REQUIRED, rounds)
        found = ratio_interval(one.baseline_s, one.candidate_s, seed=trial, resamples=RESAMPLES)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= REQUIRED <= found.high
    return hits / trials


def print_grid(machines: Sequence[Machine], trials: int, seed: int) -> bool:
    """Print a line for each model of noise; return whether every one keeps what is demanded."""
    test = LaunchTest()
    print(
        f"Looks at {test.looks} launches of {ROUNDS} rounds, requirement {REQUIRED}, one A/A launch, {trials} trials"
    )
    print(
        f"{'launch sd':>9}{'round sd':>10}  {'shape':15}{'false pass':>11}{'false fail':>11}{'rounds':>8}"
        f"{'pass 1.1x':>11}{'rounds':>8}{'pass 1.5x':>11}{'rounds':>8}{'x today':>9}{'covered':>9}{'one launch':>12}"
    )
    allowed = 2 * math.sqrt(MOST_WRONG * (1 - MOST_WRONG) / trials)
    kept = True
    for machine in machines:
        at, near, clear = (rates(test, machine, over, trials, seed + k) for k, over in enumerate(OVERS))
        few = max(trials // 8, 1)
        ratio = clear.launches * ROUNDS / rounds_today(machine, OVERS[-1], few, seed)
        covered = min(one.covered for one in (at, near, clear))
        print(
            f"{machine.launch_sd:9.1%}{machine.round_sd:10.1%}  {machine.shape:15}{at.passed:11.1%}{at.failed:11.1%}"
            f"{at.launches * ROUNDS:8.1f}{near.passed:11.1%}{near.launches * ROUNDS:8.1f}{clear.passed:11.1%}"
            f"{clear.launches * ROUNDS:8.1f}{ratio:9.2f}{covered:9.1%}"
            f"{coverage_of_one_launch(machine, few, seed):12.1%}",
            flush=True,
        )
        kept &= max(at.passed, at.failed) <= MOST_WRONG + allowed and covered >= LEAST_COVERAGE - allowed
    return kept


def main() -> int:
    """Print the grid; return 1 if a point of it keeps less than what is demanded, beyond two standard errors."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=400, help="simulated pairs per cell (default 400)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the simulation (default 1)")
    parser.add_argument("--launch-sd", type=float, nargs="+", default=LAUNCH_SDS, metavar="SD")
    parser.add_argument("--round-sd", type=float, nargs="+", default=ROUND_SDS, metavar="SD")
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=SHAPES)
    options = parser.parse_args()
    started = time.perf_counter()
    grid = itertools.product(options.launch_sd, options.round_sd, options.shapes)
    kept = print_grid([Machine(*point) for point in grid], options.trials, options.seed)
    print(
        f"\n{time.perf_counter() - started:.0f} s; {'all points keep' if kept else 'NOT all points keep'} what is demanded"
    )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
