"""A reason names the noise that was seen and what would decide, in figures."""

from __future__ import annotations

import math

import pytest

from bench.acceleration.evidence import (
    LEAST_ROUNDS,
    MOST_ADVISED,
    Evidence,
    by_launch,
    peak_advice,
    peak_of_candidate,
)
from bench.acceleration.gates import judge_memory
from bench.acceleration.times import Launch, NullLaunch, Round, Times
from bench.core.estimate import Estimate
from bench.statistics.launches import LaunchTest, Noise

NOISE = Noise(0.04, 0.06, 6, 2, (), 0.02)
ALLOWED = 2_000_000_000


def speedup(value: float) -> Estimate:
    return Estimate(metric="speedup", value=value, low=0.8 * value, high=1.25 * value)


def evidence(launch_s: float = 6.0, round_s: float = 2.0, noise: Noise | None = NOISE) -> Evidence:
    return Evidence(2, 12, noise, launch_s=launch_s, round_s=round_s, spent_s=40.0)


def times(*peaks: float | None, null: tuple[float, float] | None = None) -> Times:
    """Return launches with these peaks of the candidate, in bytes."""
    launches = [
        Launch(
            order=["baseline", "candidate"],
            load_s={"baseline": 1.0, "candidate": 2.0},
            first_call_s={"baseline": 3.0, "candidate": 4.0},
            peak_bytes={"candidate": None if peak is None else int(peak)},
        )
        for peak in peaks
    ]
    of_null = None
    if null is not None:
        of_null = NullLaunch(
            of="a", peak_bytes=dict(zip(("baseline", "candidate"), map(int, null), strict=True))
        )
    return Times(launches=launches, null=of_null)


def test_what_a_launch_cost_is_all_before_its_first_round() -> None:
    launch = times(1e9).launches[0]
    launch.warmup_s = {"baseline": [0.5], "candidate": [0.25, 0.25]}
    assert launch.cost_s == 11.0


def test_only_launches_with_rounds_enough_count() -> None:
    measured = times(1e9, 1e9, 1e9)
    for launch, rounds in enumerate((6, 3, 4)):
        measured.rounds += [
            Round(first="baseline", baseline_s=4.0, candidate_s=2.0, images=2, launch=launch)
        ] * rounds
    assert [(len(one.baseline_s), one.baseline_s[0], one.candidate_s[0]) for one in by_launch(measured)] == [
        (6, 2.0, 1.0),
        (4, 2.0, 1.0),
    ]


def test_a_launch_that_costs_much_next_to_a_round_gets_more_rounds() -> None:
    assert evidence().next_rounds == LEAST_ROUNDS
    assert evidence(launch_s=60.0).next_rounds == 8
    assert evidence(noise=None).next_rounds == LEAST_ROUNDS


@pytest.mark.parametrize("value", [1.45, 1.55, 1.4, 1.7])
def test_the_launches_that_are_advised_would_decide(value: float) -> None:
    advice = evidence().advice(speedup(value), 1.5)
    needed = int(advice.partition("raise --max-launches to ")[2].partition(",")[0])
    rounds = 12 + (needed - 2) * 6
    assert f"about {needed} launches decide" in advice
    assert f"--max-rounds to {rounds} " in advice
    assert f"{(needed - 2) * 18} s more" in advice
    # With the noise that was seen, an interval of so many launches does not reach the limit.
    half = 3.0 * math.sqrt((NOISE.launch_sd**2 + NOISE.round_sd**2 / 6) / needed)
    assert half < abs(math.log(value / 1.5))


def test_what_no_budget_tells_apart_is_said_to_be_too_close() -> None:
    for value in (1.5, 1.501):
        advice = evidence().advice(speedup(value), 1.5)
        assert f"is too close for {MOST_ADVISED} launches at this noise" in advice
        assert "launches scatter by 2.0 %" in advice
        assert "--max-launches" not in advice


@pytest.mark.parametrize(("value", "bound"), [(math.nan, 1.5), (0.0, 1.5), (1.5, 0.0)])
def test_where_nothing_can_be_computed_the_options_are_named(value: float, bound: float) -> None:
    assert "--max-launches" in evidence().advice(Estimate(metric="speedup", value=value), bound)


def test_a_peak_near_its_limit_is_undecided_with_the_scatter_and_what_would_decide() -> None:
    measured = times(1.97e9, 1.99e9, 1.95e9)
    peak = peak_of_candidate(measured)
    verdict = judge_memory(peak, ALLOWED, peak_advice(measured, peak, ALLOWED))
    assert (verdict.verdict, verdict.reason_code) == ("inconclusive", "memory_undecided")
    assert "peak memory 1.97 GB [" in verdict.reason
    assert (
        "over 3 launches contains the allowed 2 GB; peaks of launches are taken to scatter by 1.0 %"
        in verdict.reason
    )
    assert "launches decide, each of 10 s and its rounds: raise --max-launches to" in verdict.reason


def test_a_peak_at_its_limit_is_said_to_be_too_close() -> None:
    measured = times(2e9)
    advice = peak_advice(measured, peak_of_candidate(measured), ALLOWED)
    assert advice.endswith("0.0 % from the limit is too close for 64 launches; change the limit")


def test_peaks_of_a_pipeline_against_itself_count_and_unread_ones_do_not() -> None:
    assert peak_of_candidate(times(None, None)) is None
    found = peak_of_candidate(times(2e9, None, 2.02e9, null=(1e9, 1.05e9)))
    assert found == LaunchTest().peak([2e9, 2.02e9], [1 / 1.05])
