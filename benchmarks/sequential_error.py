"""How often the sequential speedup verdict is wrong, by simulation: the evidence for its constants.

    python benchmarks/sequential_error.py [--trials 400] [--seed 1]      about two minutes on one core

Every trial draws the times of a pair under one model of a machine's noise and follows `SequentialTest` to its
end. Printed, per noise model:

- a candidate exactly at its requirement: how often it passes and how often it fails (each may happen in at
  most 5 % of trials, the aim is 4 %), and how many rounds are spent;
- a candidate 1.1, 1.2 and 1.5 times as fast as required: how often it passes, and after how many rounds;
- how often the interval reported at the end covers the truth (promised: 95 %);
- the same for the plain intervals at a fixed number of rounds or samples.

Every trial resamples with a seed of its own, and 2000 times instead of the default, for speed.
The standard error of a rate p is sqrt(p (1 - p) / trials). No model is run on the machine: every time is drawn.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.statistics.paired_times import LOOKS, SequentialTest, quality_loss_interval, ratio_interval

Floats = NDArray[np.float64]
Noise = Callable[[np.random.Generator, int], tuple[Floats, Floats]]

REQUIRED = 1.5
ROUND_SD = 0.06  # of a round's log ratio; the arms share its variance
ARM_SD = ROUND_SD / math.sqrt(2)
STALL_RATE = 0.1
RESAMPLES = 2000


def _normal(rng: np.random.Generator, rounds: int) -> tuple[Floats, Floats]:
    return rng.normal(0, ARM_SD, rounds), rng.normal(0, ARM_SD, rounds)


def _laplace(rng: np.random.Generator, rounds: int) -> tuple[Floats, Floats]:
    return rng.laplace(0, ROUND_SD / math.sqrt(2), rounds), np.zeros(rounds)


def _student_t3(rng: np.random.Generator, rounds: int) -> tuple[Floats, Floats]:
    return rng.standard_t(3, rounds) * ROUND_SD / math.sqrt(3), np.zeros(rounds)


def _stalls_in_either_arm(rng: np.random.Generator, rounds: int) -> tuple[Floats, Floats]:
    """A tenth of the rounds has one arm, either, slowed 1.5 to 3 times."""
    baseline, candidate = _normal(rng, rounds)
    stall = (rng.random(rounds) < STALL_RATE) * np.log(rng.uniform(1.5, 3, rounds))
    in_baseline = rng.random(rounds) < 0.5
    return baseline + stall * in_baseline, candidate + stall * ~in_baseline


def _autocorrelated(rng: np.random.Generator, rounds: int) -> tuple[Floats, Floats]:
    """AR(1), correlation 0.3 from round to round."""
    shocks = rng.normal(0, ROUND_SD, rounds)
    shocks[1:] *= math.sqrt(1 - 0.3**2)
    for i in range(1, rounds):
        shocks[i] += 0.3 * shocks[i - 1]
    return shocks, np.zeros(rounds)


def _lognormal_stall(rng: np.random.Generator, rounds: int) -> Floats:
    """A tenth of the rounds is slowed by a factor of 1 + lognormal, median 1.6."""
    return (rng.random(rounds) < STALL_RATE) * np.log1p(rng.lognormal(math.log(0.6), 0.5, rounds))


def _stalls_in_baseline(rng: np.random.Generator, rounds: int) -> tuple[Floats, Floats]:
    baseline, candidate = _normal(rng, rounds)
    return baseline + _lognormal_stall(rng, rounds), candidate


def _stalls_in_candidate(rng: np.random.Generator, rounds: int) -> tuple[Floats, Floats]:
    candidate, baseline = _stalls_in_baseline(rng, rounds)
    return baseline, candidate


NOISES: dict[str, Noise] = {
    "normal": _normal,
    "Laplace": _laplace,
    "Student t3": _student_t3,
    "stalls, either arm": _stalls_in_either_arm,
    "AR(1) 0.3": _autocorrelated,
    "stalls, baseline": _stalls_in_baseline,
    "stalls, candidate": _stalls_in_candidate,
}


def draw_times(noise: Noise, ratio: float, rng: np.random.Generator, rounds: int) -> tuple[Floats, Floats]:
    """Seconds of baseline and candidate, shape (rounds,) each, with a true speedup of `ratio`."""
    baseline, candidate = noise(rng, rounds)
    return ratio * np.exp(baseline), np.exp(candidate)


def run_to_decision(
    test: SequentialTest, baseline_s: Floats, candidate_s: Floats, truth: float, seed: int
) -> tuple[str, int, bool]:
    """Decision ("continue": still open after the last look), rounds spent, whether the interval covers."""
    decision, interval = "continue", None
    rounds = test.next_look(0)
    while rounds is not None:
        interval = test.interval(baseline_s[:rounds], candidate_s[:rounds], seed)
        decision = test.decide(interval, REQUIRED)
        if decision != "continue":
            break
        last, rounds = rounds, test.next_look(rounds)
    assert interval is not None, "a test has at least one look"
    return decision, rounds or last, interval.low <= truth <= interval.high


def simulate(noise: Noise, over: float, trials: int, seed: int) -> tuple[float, float, float, float]:
    """Rates of pass and of fail, mean rounds and coverage at `over` times the requirement."""
    rng = np.random.default_rng(seed)
    test = SequentialTest(resamples=RESAMPLES)
    truth = REQUIRED * over
    outcomes = [
        run_to_decision(test, *draw_times(noise, truth, rng, max(test.looks)), truth, trial)
        for trial in range(trials)
    ]
    decisions = [decision for decision, _, _ in outcomes]
    return (
        decisions.count("pass") / trials,
        decisions.count("fail") / trials,
        float(np.mean([rounds for _, rounds, _ in outcomes])),
        float(np.mean([covers for _, _, covers in outcomes])),
    )


def print_sequential(trials: int, seed: int) -> None:
    """The table of errors at the limit and of effort away from it."""
    error = 100 * math.sqrt(0.04 * 0.96 / trials)
    print(
        f"Sequential test: looks {LOOKS}, requirement {REQUIRED}, per-round sd {ROUND_SD}, {trials} trials;"
    )
    print(f"a rate near 4 % has a standard error of {error:.1f} points.\n")
    overs = (1.0, 1.1, 1.2, 1.5)
    print(
        f"{'noise':20}{'at the limit':^34}" + "".join(f"{f'{over} x':^16}" for over in overs[1:]) + "covered,"
    )
    print(f"{'':20}{'false pass  false fail  rounds':^34}" + f"{'pass   rounds':^16}" * 3 + "least")
    for name, noise in NOISES.items():
        rows = [simulate(noise, over, trials, seed + k) for k, over in enumerate(overs)]
        passed, failed, rounds, _ = rows[0]
        line = f"{name:20}{passed:11.1%}{failed:11.1%}{rounds:9.1f}   "
        line += "".join(f"{row[0]:8.1%}{row[2]:6.1f}  " for row in rows[1:])
        print(line + f"{min(row[3] for row in rows):8.1%}", flush=True)


def print_fixed(trials: int, seed: int) -> None:
    """The coverage of the plain 95 % intervals at one look; they allow for no autocorrelation."""
    sizes = (4, 6, 10, 20, 40)
    print(f"\nCoverage of ratio_interval at one look (promised: 95 % of independent rounds), {trials} trials")
    print(f"{'noise':20}" + "".join(f"{f'{n} rounds':>11}" for n in sizes))
    for name, noise in NOISES.items():
        rates = []
        for n in sizes:
            rng = np.random.default_rng(seed + n)
            intervals = [
                ratio_interval(*draw_times(noise, 1.5, rng, n), seed=k, resamples=RESAMPLES)
                for k in range(trials)
            ]
            rates.append(np.mean([i.low <= 1.5 <= i.high for i in intervals]))
        print(f"{name:20}" + "".join(f"{rate:11.1%}" for rate in rates), flush=True)
    sizes = (5, 10, 30, 100)
    print("\nCoverage of quality_loss_interval: scores 25 +- 3, 4 % lost, differences of sd 1.5")
    print(f"{'differences':20}" + "".join(f"{f'{n} samples':>12}" for n in sizes))
    for name, scatter in {
        "normal": lambda rng, n: rng.normal(0, 1.5, n),
        "skewed (exponential)": lambda rng, n: rng.exponential(1.5, n) - 1.5,
    }.items():
        rates = []
        for n in sizes:
            rng = np.random.default_rng(seed + n)
            hits = 0
            for k in range(trials):
                baseline = rng.normal(25, 3, n)
                interval = quality_loss_interval(
                    baseline, 0.96 * baseline - scatter(rng, n), seed=k, resamples=RESAMPLES
                )
                hits += interval.low <= 0.04 <= interval.high
            rates.append(hits / trials)
        print(f"{name:20}" + "".join(f"{rate:12.1%}" for rate in rates), flush=True)


def main() -> None:
    """Parse the options, print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=400, help="simulated pairs per cell (default 400)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.perf_counter()
    print_sequential(options.trials, options.seed)
    print_fixed(options.trials, options.seed)
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
