"""How to spend time on launches and rounds: the split that the measured costs make best, and what a width needs.

A launch costs its start, loading and warming up before its first round. The more that is next to a round, and the less
launches differ, the more rounds a launch is given (Kalibera & Jones 2013, "Rigorous Benchmarking in Reasonable Time", ISMM).
Everything is pure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bench.statistics.launches import ASSUMED_LAUNCHES, Noise, Rounds
from bench.statistics.paired_times import MIN_ROUNDS, location_of_logs, log_ratios
from bench.statistics.sequential import LOOK_ALPHA


@dataclass(frozen=True)
class Split:
    """How to spend a budget of time.

    Attributes:
        rounds: of each launch.
        launches: that fit into the budget, or that a half width needs.
        seconds: that they take.
        standard_error: of the log ratio, after all of them.
    """

    rounds: int
    launches: int
    seconds: float
    standard_error: float


def rounds_per_launch(
    noise: Noise, *, launch_s: float, round_s: float, least: int = MIN_ROUNDS, most: int = 40
) -> int:
    """Return how many rounds a launch should have, so that a given time gives the narrowest interval.

    It is ``sqrt(launch_s / round_s) * round_sd / launch_sd`` (Kalibera & Jones 2013), an even number, so that both orders of
    the arms occur equally often: launches that cost much or agree are worth more rounds.

    Args:
        noise: that was seen.
        launch_s: seconds from the start of a pair to its first round.
        round_s: seconds of a round of both arms.
        least, most: bounds.

    Raises:
        ValueError: a cost that is not positive, or bounds that are none.

    Example:
        >>> rounds_per_launch(Noise(0.03, 0.06, 8, 3, ()), launch_s=20.0, round_s=2.0)
        6
        >>> rounds_per_launch(Noise(0.0, 0.06, 8, 3, ()), launch_s=20.0, round_s=2.0)
        40
    """
    if not (launch_s > 0 and round_s > 0 and MIN_ROUNDS <= least <= most):
        raise ValueError(
            f"found {launch_s:g} s for a launch, {round_s:g} s for a round and {least} to {most} rounds, expected positive "
            f"times and bounds of at least {MIN_ROUNDS}; measure the times"
        )
    if noise.launch_sd == 0:
        return most
    best = math.sqrt(launch_s / round_s) * noise.round_sd / noise.launch_sd
    return int(min(max(2 * round(best / 2), least), most))


def is_known(launch: Rounds, standard_error: float) -> bool:
    """Whether the log ratio of a launch is known to a standard error, by the scatter of its rounds alone.

    A launch may have more rounds where it is not. Their ratio has no say in it, so that no look is taken.

    Args:
        launch: with any number of rounds; fewer than four say nothing.
        standard_error: in log units.

    Example:
        >>> is_known(Rounds([1.0, 1.1, 1.0, 1.1], [1.0] * 4), 0.05), is_known(Rounds([1.0, 2.0] * 2, [1.0] * 4), 0.05)
        (True, False)
    """
    if np.size(launch.baseline_s) < MIN_ROUNDS:
        return False
    return location_of_logs(log_ratios(launch.baseline_s, launch.candidate_s))[1] <= standard_error


def split_budget(noise: Noise, *, budget_s: float, launch_s: float, round_s: float) -> Split:
    """Return how many launches, and rounds of each, a budget of seconds buys; at least one launch.

    Raises:
        ValueError: as for `rounds_per_launch`.

    Example:
        >>> split_budget(Noise(0.03, 0.06, 8, 3, ()), budget_s=200.0, launch_s=20.0, round_s=2.0).launches
        6
    """
    rounds = rounds_per_launch(noise, launch_s=launch_s, round_s=round_s)
    each = launch_s + rounds * round_s
    launches = max(int(budget_s // each), 1)
    return Split(rounds, launches, launches * each, _standard_error(noise, rounds, launches))


def launches_needed(noise: Noise, half_width: float, *, rounds: int, alpha: float = LOOK_ALPHA) -> int:
    """Return how many launches give an interval of a half width, in log units, if noise stays as it is.

    It says in a reason what would help: launches, or a quieter machine where there would be too many of them.

    Raises:
        ValueError: a half width that is not positive, or no rounds.

    Example:
        >>> launches_needed(Noise(0.03, 0.06, 8, 3, ()), 0.05, rounds=8)
        6
    """
    from scipy.special import stdtrit  # noqa: PLC0415

    if not half_width > 0 or rounds < 1:
        raise ValueError(
            f"found a half width of {half_width:g} and {rounds} rounds, expected more than 0 of both; ask for a width such "
            "as 0.05"
        )
    launches = 1
    while (
        float(stdtrit(ASSUMED_LAUNCHES + launches - 1, 1 - alpha / 2))
        * _standard_error(noise, rounds, launches)
        > half_width
    ):
        launches += max(launches // 20, 1)
    return launches


def _standard_error(noise: Noise, rounds: int, launches: int) -> float:
    return math.sqrt((noise.launch_sd**2 + noise.round_sd**2 / rounds) / launches)
