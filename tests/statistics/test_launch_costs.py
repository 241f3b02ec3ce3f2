"""The split between launches and rounds is the best there is, and the launches that a width needs give it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.statistics.launch_costs import launches_needed, rounds_per_launch, split_budget
from bench.statistics.launches import LaunchTest, Noise, Rounds


def launch(rng) -> Rounds:
    """Draw a launch of six rounds, which scatters by 3 % and they by 6 %."""
    noise = rng.normal(0, 0.06, 6) + rng.normal(0, 0.03)
    return Rounds(1.4 * np.exp(noise), np.ones(6))


def test_a_split_is_the_best_there_is():
    """Next to every other number of rounds, at the same cost."""
    noise, cost = Noise(0.03, 0.06, 6, 3, ()), {"launch_s": 20.0, "round_s": 2.0}

    def spread(rounds):
        return (noise.launch_sd**2 + noise.round_sd**2 / rounds) * (20 + 2 * rounds)

    best = rounds_per_launch(noise, **cost)
    assert best == min(range(4, 41, 2), key=spread)
    found = split_budget(noise, budget_s=300.0, **cost)
    assert (found.rounds, found.launches, found.seconds) == (best, 9, 9 * (20 + 2 * best))
    assert found.standard_error == pytest.approx(math.sqrt((0.03**2 + 0.06**2 / best) / 9))
    assert split_budget(noise, budget_s=1.0, **cost).launches == 1
    assert rounds_per_launch(Noise(0.2, 0.01, 6, 3, ()), **cost) == 4


def test_the_launches_that_a_width_needs_give_it():
    noise = Noise(0.03, 0.06, 6, 3, ())
    few, many = (launches_needed(noise, width, rounds=6) for width in (0.2, 0.02))
    assert few < 4 < many
    rng = np.random.default_rng(6)
    found = LaunchTest().speedup([launch(rng) for _ in range(many)])
    assert (math.log(found.high) - math.log(found.low)) / 2 == pytest.approx(0.02, rel=0.3)


def test_costs_and_widths_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="expected positive times"):
        rounds_per_launch(Noise(0.03, 0.06, 6, 3, ()), launch_s=0.0, round_s=1.0)
    with pytest.raises(ValueError, match="found a half width of 0"):
        launches_needed(Noise(0.03, 0.06, 6, 3, ()), 0.0, rounds=6)
