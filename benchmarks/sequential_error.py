"""How often the sequential verdict on a speedup is wrong, by simulation: the evidence for its constants.

    python benchmarks/sequential_error.py [--trials 400] [--seed 1]     # about two minutes on one core

Each trial draws the times of a pair from a model of a machine's noise and follows ``SequentialTest`` to its end. Printed
for each model of noise:

- for a candidate exactly at its requirement: how often it passes and how often it fails (each is allowed in 5 % of
  trials, the aim is 4 %), and after how many rounds;
- for a candidate 1.1, 1.2 and 1.5 times as fast as required: how often it passes, and after how many rounds;
- how often the interval at the end covers the truth (promised: 95 %);
- how often the intervals at a fixed number of rounds or samples cover the truth.

Each trial has its own seed, and draws 2,000 resamples instead of the default, for speed. The standard error of a rate p
is sqrt(p (1 - p) / trials). All times are drawn; no model runs.
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

from bench.core.estimate import Estimate
from bench.core.gate import Limit, gate
from bench.statistics.paired_times import quality_loss_interval, ratio_interval
from bench.statistics.sequential import LOOKS, SequentialTest

Floats = NDArray[np.float64]
Noise = Callable[[np.random.Generator, int], tuple[Floats, Floats]]
"""Draws the log times of baseline and candidate, (rounds,) each."""
Scatter = Callable[[np.random.Generator, int], Floats]
"""Draws differences of scores, (samples,)."""

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
    """In a tenth of the rounds, one of the arms takes 1.5 to 3 times as long."""
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
    """Draw logarithms of delays: a tenth of the rounds is slower by a factor of 1 + lognormal, median 1.6."""
    stalled = (rng.random(rounds) < STALL_RATE).astype(np.float64)
    return stalled * np.log1p(rng.lognormal(math.log(0.6), 0.5, rounds))


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


def _normal_scatter(rng: np.random.Generator, samples: int) -> Floats:
    return rng.normal(0, 1.5, samples)


def _skewed_scatter(rng: np.random.Generator, samples: int) -> Floats:
    return rng.exponential(1.5, samples) - 1.5


SCATTERS: dict[str, Scatter] = {"normal": _normal_scatter, "skewed (exponential)": _skewed_scatter}


def draw_times(noise: Noise, ratio: float, rng: np.random.Generator, rounds: int) -> tuple[Floats, Floats]:
    """Return seconds of baseline and candidate, (rounds,) each, with a true speedup of ``ratio``."""
    baseline, candidate = noise(rng, rounds)
    return ratio * np.exp(baseline), np.exp(candidate)


def run_to_decision(
    test: SequentialTest, baseline_s: Floats, candidate_s: Floats, truth: float, seed: int
) -> tuple[str, int, bool]:
    """Return the verdict, the rounds that it took, and whether the interval covers the truth."""
    for rounds in test.looks:
        speedup = test.interval(baseline_s[:rounds], candidate_s[:rounds], seed)
        verdict = gate(speedup, Limit(bound=REQUIRED)).verdict
        if verdict != "inconclusive":
            break
    return verdict, rounds, covers(speedup, truth)


def covers(estimate: Estimate, truth: float) -> bool:
    """Whether the interval of an estimate contains the truth."""
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low <= truth <= estimate.high


def simulate(noise: Noise, over: float, trials: int, seed: int) -> tuple[float, float, float, float]:
    """Return rates of pass and of fail, mean rounds and coverage at ``over`` times the requirement."""
    rng = np.random.default_rng(seed)
    test = SequentialTest(resamples=RESAMPLES)
    truth = REQUIRED * over
    outcomes = [
        run_to_decision(test, *draw_times(noise, truth, rng, max(test.looks)), truth, trial)
        for trial in range(trials)
    ]
    verdicts, rounds, covered = zip(*outcomes, strict=True)
    return (
        verdicts.count("pass") / trials,
        verdicts.count("fail") / trials,
        float(np.mean(rounds)),
        float(np.mean(covered)),
    )


def print_sequential(trials: int, seed: int) -> None:
    """Print the errors at the limit, and the effort away from it."""
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
    """Print the coverage of the 95 % intervals at one look, which do not allow for autocorrelation."""
    sizes: tuple[int, ...] = (4, 6, 10, 20, 40)
    print(f"\nCoverage of ratio_interval at one look (promised: 95 % of independent rounds), {trials} trials")
    print(f"{'noise':20}" + "".join(f"{f'{n} rounds':>11}" for n in sizes))
    for name, noise in NOISES.items():
        rates = []
        for n in sizes:
            rng = np.random.default_rng(seed + n)
            hits = 0
            for k in range(trials):
                baseline_s, candidate_s = draw_times(noise, 1.5, rng, n)
                hits += covers(ratio_interval(baseline_s, candidate_s, seed=k, resamples=RESAMPLES), 1.5)
            rates.append(hits / trials)
        print(f"{name:20}" + "".join(f"{rate:11.1%}" for rate in rates), flush=True)
    sizes = (5, 10, 30, 100)
    print("\nCoverage of quality_loss_interval: scores 25 +- 3, 4 % lost, differences of sd 1.5")
    print(f"{'differences':20}" + "".join(f"{f'{n} samples':>12}" for n in sizes))
    for name, scatter in SCATTERS.items():
        rates = []
        for n in sizes:
            rng = np.random.default_rng(seed + n)
            hits = 0
            for k in range(trials):
                baseline = rng.normal(25, 3, n)
                candidate = 0.96 * baseline - scatter(rng, n)
                hits += covers(quality_loss_interval(baseline, candidate, seed=k, resamples=RESAMPLES), 0.04)
            rates.append(hits / trials)
        print(f"{name:20}" + "".join(f"{rate:12.1%}" for rate in rates), flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=400, help="simulated pairs per cell (default 400)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the simulation (default 1)")
    options = parser.parse_args()
    started = time.perf_counter()
    print_sequential(options.trials, options.seed)
    print_fixed(options.trials, options.seed)
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
