"""How often a verdict over launches is wrong, by simulation and here: the evidence for `bench/statistics/launches.py`.

    python benchmarks/calibration.py [--trials 400] [--seed 1]     # some minutes on one core
    python benchmarks/calibration.py --trials 400 --launch-sd 0.03 --round-sd 0.06 --shapes plain stalls
    python benchmarks/calibration.py --real 200 [--minutes 30] [--workers 4]     # A/A launches of a pipeline that ships

Each trial draws pairs of launches from a model of a machine's noise, and one pair of the same pipeline against itself, and
follows ``LaunchTest`` to its end, with the default limits on rounds and launches and as many rounds in a launch as a pair
that costs as much has. The grid is the scatter of launches (0 to 5 %), that of rounds (1 to 10 %), and the shape of the
noise within a launch. Printed for each point of it:

- for a candidate exactly at its requirement: how often it passes and how often it fails (each is allowed in 5 % of trials);
- how often the interval at the end covers the truth, the least over all candidates (94 % is demanded);
- for candidates 1.1 and 1.5 times as fast as required: how often they pass, and after how many rounds;
- the rounds of the clear one as a multiple of those of ``SequentialTest``, which knows no launches;
- how often the interval of ``ratio_interval`` on as many rounds of a single launch covers the truth;
- a fixed design, Student's t on five launches of eight rounds: how often it passes the one 1.1 times as fast as required.

The standard error of a rate p is sqrt(p (1 - p) / trials). All times are drawn; no model runs.

``--real`` lets the suite judge a pipeline against itself, with a required speedup of exactly 1, so that a case goes to its
last launch. Printed are the scatter of those launches and rounds, how many intervals hold 1.000, and what becomes of
sequences that are drawn from the launches with replacement. It stops after ``--minutes`` and prints what it has.
"""

from __future__ import annotations

import argparse
import itertools
import math
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from launch_trials import PLAN, SHAPES, Machine, Rates, first_rounds, follow
from suite import PIPELINES, ROOT, cases_command, results_file, write_tasks

from bench.acceleration.evidence import by_launch
from bench.acceleration.null_launch import NULL_ROUNDS, says_enough
from bench.acceleration.record import Speedup
from bench.acceleration.times import Times
from bench.acceleration.timing import FIRST_ROUNDS
from bench.core.gate import Limit, gate
from bench.statistics.launches import LaunchTest, Rounds
from bench.statistics.paired_times import location_of_logs, log_ratios, ratio_interval
from bench.statistics.sequential import SequentialTest

REQUIRED = 1.3
FIXED_LAUNCHES, FIXED_ROUNDS = 5, 8
LAUNCH_SDS, ROUND_SDS = (0.0, 0.01, 0.03, 0.05), (0.01, 0.03, 0.06, 0.10)
OVERS = (1.0, 1.1, 1.5)
RESAMPLES = 500
LEAST_COVERAGE, MOST_WRONG = 0.94, 0.05
LEAST_POWER, MODERATE = 0.95, (0.03, 0.06)  # at up to this scatter of launches and rounds
MOST_ROUNDS = 1.2  # of a clear case, as a multiple of today's
SEQUENCES = 2000


def rates(test: LaunchTest, machine: Machine, over: float, trials: int, seed: int) -> Rates:
    """Return what becomes of a candidate ``over`` times as fast as required."""
    rng, truth = np.random.default_rng(seed), REQUIRED * over
    return Rates.of(
        [
            follow(
                test,
                lambda rounds: machine.launch(rng, truth, rounds),
                null_launch(machine, rng),
                truth=truth,
                required=REQUIRED,
            )
            for _ in range(trials)
        ]
    )


def null_launch(machine: Machine, rng: np.random.Generator) -> Rounds:
    """Return a launch of a pipeline against itself, with as many rounds as the suite gives it."""
    *few, most = NULL_ROUNDS
    drawn = machine.launch(rng, 1.0, most)
    enough = [count for count in few if says_enough(first_rounds(drawn, count))]
    return first_rounds(drawn, min([*enough, most]))


def fixed_design(machine: Machine, over: float, trials: int, seed: int) -> float:
    """Return how often Student's t on a fixed number of launches passes a candidate, whatever the first ones show."""
    rng = np.random.default_rng(seed)
    reach = 2.776 / math.sqrt(FIXED_LAUNCHES)  # two-sided 95 %, 4 degrees of freedom
    passed = 0
    for _ in range(trials):
        drawn = [machine.launch(rng, REQUIRED * over, FIXED_ROUNDS) for _ in range(FIXED_LAUNCHES)]
        places = [location_of_logs(log_ratios(one.baseline_s, one.candidate_s))[0] for one in drawn]
        passed += bool(np.mean(places) - reach * np.std(places, ddof=1) >= math.log(REQUIRED))
    return passed / trials


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
    rounds = PLAN.max_rounds
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
        f"Looks at {test.looks} launches, {min(FIRST_ROUNDS)} to {max(FIRST_ROUNDS)} rounds in the first, "
        f"{PLAN.max_rounds} at most, requirement {REQUIRED}, one A/A launch, {trials} trials"
    )
    print(
        f"{'launch sd':>9}{'round sd':>10}  {'shape':15}{'false pass':>11}{'false fail':>11}{'rounds':>8}"
        f"{'pass 1.1x':>11}{'rounds':>8}{'pass 1.5x':>11}{'rounds':>8}{'x today':>9}{'covered':>9}{'one launch':>12}"
        f"{'fixed':>8}"
    )

    def allowed(rate: float) -> float:
        """Two standard errors."""
        return 2 * math.sqrt(rate * (1 - rate) / trials)

    kept = True
    for machine in machines:
        at, near, clear = (rates(test, machine, over, trials, seed + k) for k, over in enumerate(OVERS))
        few = max(trials // 8, 1)
        today = rounds_today(machine, OVERS[-1], few, seed)
        ratio = clear.rounds / today
        covered = min(one.covered for one in (at, near, clear))
        print(
            f"{machine.launch_sd:9.1%}{machine.round_sd:10.1%}  {machine.shape:15}{at.passed:11.1%}{at.failed:11.1%}"
            f"{at.rounds:8.1f}{near.passed:11.1%}{near.rounds:8.1f}{clear.passed:11.1%}{clear.rounds:8.1f}{ratio:9.2f}"
            f"{covered:9.1%}{coverage_of_one_launch(machine, few, seed):12.1%}"
            f"{fixed_design(machine, OVERS[1], trials, seed):8.1%}",
            flush=True,
        )
        kept &= max(at.passed, at.failed) <= MOST_WRONG + allowed(MOST_WRONG)
        kept &= covered >= LEAST_COVERAGE - allowed(LEAST_COVERAGE)
        if machine.launch_sd <= MODERATE[0] and machine.round_sd <= MODERATE[1]:
            kept &= near.passed >= LEAST_POWER - allowed(LEAST_POWER)
            kept &= ratio <= MOST_ROUNDS + 2 * clear.rounds_se / today
    return kept


class _Record(msgspec.Struct):
    """What is read of a record."""

    verdict: str
    speedup: Speedup
    times: Times | None = None


class _Results(msgspec.Struct):
    records: list[_Record]


def judge_against_itself(file: Path, cases: int, workers: int, limit_s: float) -> list[_Record]:
    """Return the records of cases whose candidate is their baseline, and which have to be exactly as fast.

    Records of a run that takes longer than its limit are lost with it, but for those that are written already.
    """
    tasks = [
        {
            "prompt_id": number, "prompt_context": "The same pipeline twice.", "difficulty": "medium",
            "required_speedup": 1.0,
            **dict.fromkeys(("target_file", "baseline_file", "candidate_file"), str(file)),
        }
        for number in range(1, cases + 1)
    ]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="modelgate-calibration-") as directory:
        folder = Path(directory)
        arguments = [
            *write_tasks(folder, tasks), "-n", str(workers), "--num-samples", "4", "--max-foreign-load", "1",
        ]  # fmt: skip
        command = cases_command("acceleration", folder / "out", arguments)
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            try:
                run.wait(limit_s)
            except subprocess.TimeoutExpired:
                run.send_signal(signal.SIGINT)  # it ends its processes and writes what it has
        found = results_file(folder / "out")
        if not found.is_file():
            return []
        return msgspec.json.decode(found.read_bytes(), type=_Results).records


def print_real(pairs: int, minutes: float, workers: int, file: Path, seed: int) -> bool:
    """Measure launches of a pipeline against itself, print what they are, and return whether what is demanded is kept."""
    deadline = time.monotonic() + 60 * minutes
    launches: list[Rounds] = []
    ends: list[_Record] = []
    while len(launches) < pairs and (left_s := deadline - time.monotonic()) > 0:
        cases = max(workers, 1)
        for record in judge_against_itself(file, cases, workers, left_s):
            if record.times is not None and record.speedup.value is not None:
                ends.append(record)
                launches += by_launch(record.times)
        held = sum((end.speedup.low or 0) <= 1 <= (end.speedup.high or 0) for end in ends)
        print(
            f"{len(launches)} A/A launches, {len(ends)} cases: {held} intervals hold 1.000, "
            f"{sum(end.verdict == 'pass' for end in ends)} passed, {sum(end.verdict == 'fail' for end in ends)} failed",
            flush=True,
        )
    if len(launches) < 2:
        print("NOT measured: fewer than two launches")
        return False
    places = np.array([location_of_logs(log_ratios(one.baseline_s, one.candidate_s))[0] for one in launches])
    noise = LaunchTest(assumed_launches=1e-9).noise(launches)
    print(
        f"launches scatter by {places.std(ddof=1):.2%} with their rounds, {noise.launch_sd:.2%} without them; rounds by "
        f"{noise.round_sd:.2%}; the mean ratio is {math.exp(places.mean()):.4f}"
    )
    rng, test = np.random.default_rng(seed), LaunchTest()

    def draw(rounds: int) -> Rounds:
        return launches[rng.integers(len(launches))]

    drawn = Rates.of([follow(test, draw, draw(0), truth=1.0, required=1.0) for _ in range(SEQUENCES)])
    print(
        f"{SEQUENCES} sequences drawn from them: {drawn.passed:.1%} pass at the limit, {drawn.failed:.1%} fail, "
        f"{drawn.covered:.1%} of the intervals hold 1.000"
    )
    return max(drawn.passed, drawn.failed) <= MOST_WRONG and drawn.covered >= LEAST_COVERAGE


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
    parser.add_argument("--real", type=int, metavar="N", help="measure so many A/A launches instead")
    parser.add_argument(
        "--minutes", type=float, default=60.0, help="stop measuring after so long (default 60)"
    )
    parser.add_argument("--workers", type=int, default=4, help="worker processes of the suite (default 4)")
    parser.add_argument(
        "--file",
        type=Path,
        default=PIPELINES / "baselines/ddim_20.py",
        help="the pipeline (default: ddim_20.py)",
    )
    options = parser.parse_args()
    started = time.perf_counter()
    if options.real is not None:
        kept = print_real(
            options.real, options.minutes, options.workers, options.file.resolve(), options.seed
        )
        print(f"\n{time.perf_counter() - started:.0f} s; {'kept' if kept else 'NOT kept'}: what is demanded")
        return 0 if kept else 1
    grid = itertools.product(options.launch_sd, options.round_sd, options.shapes)
    kept = print_grid([Machine(*point) for point in grid], options.trials, options.seed)
    print(
        f"\n{time.perf_counter() - started:.0f} s; {'all points keep' if kept else 'NOT all points keep'} what is demanded"
    )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
