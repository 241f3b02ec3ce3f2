"""A verdict over launches is wrong no more often than promised where launches differ, and clear cases take one of them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from bench.core.estimate import Estimate
from bench.core.gate import Limit, gate
from bench.statistics.launches import ASSUMED_LAUNCH_SD, LaunchTest, Rounds, compare, looks_up_to
from bench.statistics.paired_times import location_of_logs, ratio_interval

REQUIRED, TEST = 1.3, LaunchTest()


def launch(rng, ratio, *, launch_sd=0.03, round_sd=0.06, rounds=6) -> Rounds:
    """Draw a launch whose handicap lasts as long as it does."""
    noise = rng.normal(0, round_sd, rounds) + rng.normal(0, launch_sd)
    return Rounds(ratio * np.exp(noise), np.ones(rounds))


def exact(*ratios: float) -> list[Rounds]:
    """Return launches without scatter between their rounds."""
    return [Rounds(np.full(4, ratio), np.ones(4)) for ratio in ratios]


def follow(test, rng, ratio, **noise):
    """Return the verdict on a candidate, its interval, and the launches that it took."""
    null, launches, look = [launch(rng, 1.0, **noise)], [], test.next_look(0)
    while look is not None:
        launches += [launch(rng, ratio, **noise) for _ in range(look - len(launches))]
        speedup = test.speedup(launches, null)
        verdict = gate(speedup, Limit(bound=REQUIRED)).verdict
        if verdict != "inconclusive":
            break
        look = test.next_look(look)
    return verdict, speedup, len(launches)


def outcomes(ratio, trials=120, test=TEST, **noise):
    rng = np.random.default_rng(0)
    return [follow(test, rng, ratio, **noise) for _ in range(trials)]


# Errors, coverage, power


@pytest.mark.parametrize("launch_sd", [0.0, 0.05])
def test_a_candidate_exactly_at_the_limit_is_decided_wrongly_in_at_most_five_percent(launch_sd):
    found = outcomes(REQUIRED, launch_sd=launch_sd)
    verdicts = [verdict for verdict, _, _ in found]
    covered = np.mean([speedup.low <= REQUIRED <= speedup.high for _, speedup, _ in found])
    assert verdicts.count("pass") <= 0.05 * len(found)
    assert verdicts.count("fail") <= 0.05 * len(found)
    assert covered >= 0.94


def test_as_many_rounds_of_one_launch_cover_the_truth_in_far_fewer():
    """What the module is for; this interval knows the scatter of rounds alone."""
    rng, hits = np.random.default_rng(0), 0
    for trial in range(60):
        one = launch(rng, REQUIRED, rounds=48)
        found = ratio_interval(one.baseline_s, one.candidate_s, seed=trial, resamples=300)
        hits += found.low <= REQUIRED <= found.high
    assert hits < 0.6 * 60


def test_looking_at_launches_as_if_nothing_were_known_to_differ_would_break_the_promise():
    """The tests above can fail: with an assumption of no scatter that outweighs what is seen, they do."""
    blind = replace(TEST, assumed_sd=0.0, assumed_launches=1000.0)
    verdicts = [verdict for verdict, _, _ in outcomes(REQUIRED, trials=60, test=blind, round_sd=0.01)]
    assert verdicts.count("pass") > 0.1 * len(verdicts)


def test_a_candidate_ten_percent_above_the_limit_passes_at_moderate_noise():
    verdicts = [verdict for verdict, _, _ in outcomes(1.1 * REQUIRED, trials=80)]
    assert verdicts.count("pass") >= 0.95 * len(verdicts)


@pytest.mark.parametrize(("over", "expected"), [(1.5, "pass"), (1 / 1.5, "fail")])
def test_a_clear_case_ends_in_the_first_launch(over, expected):
    found = outcomes(over * REQUIRED, trials=60)
    assert {verdict for verdict, _, _ in found} == {expected}
    assert np.mean([launches == 1 for _, _, launches in found]) > 0.9


def test_launches_that_differ_against_themselves_decide_nothing_in_the_first_launch():
    """A gap of a fifth is clear on a quiet machine, and not where the same pipeline is off by as much."""
    candidate = exact(1.2 * REQUIRED)
    quiet, noisy = exact(1.01), exact(1.25)
    assert gate(TEST.speedup(candidate, quiet), Limit(bound=REQUIRED)).verdict == "pass"
    assert gate(TEST.speedup(candidate, noisy), Limit(bound=REQUIRED)).verdict == "inconclusive"


# The interval


def test_with_nothing_assumed_it_is_students_t_on_the_launches():
    ratios = [1.31, 1.22, 1.4, 1.27, 1.35]
    plain = replace(TEST, assumed_launches=1e-9, look_alpha=0.05)
    found = plain.speedup(exact(*ratios))
    low, high = stats.t.interval(0.95, 4, np.mean(np.log(ratios)), stats.sem(np.log(ratios)))
    assert (found.low, found.high) == pytest.approx((math.exp(low), math.exp(high)), rel=1e-6)
    assert (found.value, found.n, found.confidence) == (pytest.approx(stats.gmean(ratios)), 5, 0.95)


def test_what_is_assumed_and_seen_against_itself_counts_as_launches():
    ratios, null = np.array([1.31, 1.22]), np.array([1.02, 0.97, 1.05])
    found = replace(TEST, look_alpha=0.05).speedup(exact(*ratios), exact(*null))
    logs = np.log(ratios)
    freedom = 4 + 3 + 1
    squares = 4 * ASSUMED_LAUNCH_SD**2 + (np.log(null) ** 2).sum() + ((logs - logs.mean()) ** 2).sum()
    reach = stats.t.ppf(0.975, freedom) * math.sqrt(squares / freedom / 2)
    assert math.log(found.high) - logs.mean() == pytest.approx(reach)
    assert logs.mean() - math.log(found.low) == pytest.approx(reach)


def test_in_the_first_launch_degrees_of_freedom_are_joined_after_satterthwaite():
    one = launch(np.random.default_rng(3), 1.5, rounds=8)
    _, error = location_of_logs(np.log(one.baseline_s))
    within = (TEST.widen * error) ** 2
    between = ASSUMED_LAUNCH_SD**2
    freedom = (between + within) ** 2 / (between**2 / 4 + within**2 / 6)
    reach = stats.t.ppf(1 - TEST.look_alpha / 2, freedom) * math.sqrt(between + within)
    found = TEST.speedup([one])
    assert (math.log(found.high) - math.log(found.low)) / 2 == pytest.approx(reach)


def test_swapping_the_arms_inverts_the_interval_and_the_order_of_launches_does_not_matter():
    rng = np.random.default_rng(1)
    launches = [launch(rng, 1.4) for _ in range(3)]
    swapped = [Rounds(one.candidate_s, one.baseline_s) for one in launches]
    found, inverse, reversed_ = (TEST.speedup(some) for some in (launches, swapped, launches[::-1]))
    assert (1 / inverse.high, 1 / inverse.value, 1 / inverse.low) == pytest.approx(
        (found.low, found.value, found.high)
    )
    assert (reversed_.low, reversed_.high) == pytest.approx((found.low, found.high))


def test_a_stalled_round_moves_nothing():
    rng = np.random.default_rng(2)
    launches = [launch(rng, 1.4, rounds=10) for _ in range(3)]
    stalled = [
        Rounds(np.where(np.arange(10) == 4, 3.0, 1.0) * one.baseline_s, one.candidate_s) for one in launches
    ]
    before, after = TEST.speedup(launches), TEST.speedup(stalled)
    assert after.value == pytest.approx(before.value, rel=0.02)
    assert after.high / after.low < 1.3 * before.high / before.low


def test_the_latency_of_one_arm_has_an_interval_over_its_launches():
    rng = np.random.default_rng(4)
    times = [0.5 * np.exp(rng.normal(0, 0.05, 6) + rng.normal(0, 0.03)) for _ in range(4)]
    found = TEST.latency(times)
    assert found.low < 0.5 < found.high
    assert (found.metric, found.unit, found.higher_is_better, found.n) == ("latency_s", "s", False, 4)
    assert gate(found, Limit(bound=1.0, at_most=True)).verdict == "pass"
    assert gate(found, Limit(bound=0.3, at_most=True)).verdict == "fail"


@pytest.mark.parametrize("rounds", [6, 12, 40])
def test_the_standard_error_of_a_location_is_its_scatter(rounds):
    rng = np.random.default_rng(rounds)
    found = [location_of_logs(rng.normal(0.3, 0.06, rounds)) for _ in range(400)]
    scatter = np.std([place for place, _ in found])
    assert np.sqrt(np.mean([error**2 for _, error in found])) == pytest.approx(scatter, rel=0.15)


# Noise, peaks, looks, margin


def test_the_noise_is_that_which_was_drawn():
    rng = np.random.default_rng(5)
    launches = [launch(rng, 1.4, launch_sd=0.04, round_sd=0.08, rounds=20) for _ in range(60)]
    found = TEST.noise(launches, exact(1.02))
    assert found.launch_sd == pytest.approx(0.04, rel=0.25)
    assert found.round_sd == pytest.approx(0.08, rel=0.1)
    assert found.seen_sd == pytest.approx(0.04, rel=0.25)
    assert TEST.noise(launches[:1]).seen_sd is None
    assert (found.rounds, found.launches, found.null) == (20, 60, (pytest.approx(1.02),))
    assert "against itself the ratio was 1.020" in found.text()


def test_peaks_of_memory_have_an_interval_over_launches_that_narrows_and_covers():
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(200):
        found = TEST.peak(2e9 * np.exp(rng.normal(0, 0.01, 3)))
        hits += found.low <= 2e9 <= found.high
    assert hits >= 0.94 * 200
    one, four = TEST.peak([2e9]), TEST.peak([2e9] * 4)
    assert one.high / one.value == pytest.approx(1.04, abs=0.01)
    assert four.high < one.high
    assert (four.metric, four.unit, four.higher_is_better, four.n) == ("peak_bytes", "B", False, 4)


def test_peaks_that_differ_between_processes_of_one_pipeline_widen_the_interval():
    assert TEST.peak([2e9], [1.1]).high > TEST.peak([2e9], [1.001]).high


@pytest.mark.parametrize("most", range(1, 40))
def test_there_are_at_most_six_looks_and_the_last_is_at_the_most(most):
    looks = looks_up_to(most)
    assert len(looks) <= 6
    assert (looks[0], looks[-1]) == (1, most)
    assert list(looks) == sorted(set(looks))


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.97, 1.04, "equivalent"),
        (1.01, 1.04, "equivalent"),
        (1.01, 1.2, "faster"),
        (0.8, 0.99, "slower"),
        (0.9, 1.04, "undecided"),
        (0.97, 1.1, "undecided"),
    ],
)
def test_an_interval_next_to_a_margin(low, high, said):
    assert compare(Estimate(metric="speedup", value=(low + high) / 2, low=low, high=high), 0.05) == said


# Bad input


@pytest.mark.parametrize(
    ("launches", "message"),
    [
        ([Rounds([1, 1, 1], [1, 1, 1])], "launch 1: found 3 rounds of baseline_s, expected at least 4"),
        ([*exact(1.0), Rounds([1, 1, 1, 1], [1, 1, 1, 1, 1])], "launch 2: found 4 baseline rounds and 5 candidate"),
        ([Rounds([1, 1, 1, 0], [1, 1, 1, 1])], "launch 1: found baseline_s.3. = 0 s, expected more than zero"),
        ([Rounds([1, 1, 1, math.nan], [1, 1, 1, 1])], "launch 1: found baseline_s.3. = nan"),
        ([], "found no launch, expected at least one"),
    ],
)  # fmt: skip
def test_launches_that_say_nothing_are_refused_by_their_number(launches, message):
    for function in (TEST.speedup, TEST.noise):
        with pytest.raises(ValueError, match=message):
            function(launches)


def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="more than 0 launches"):
        replace(TEST, assumed_launches=0.0).speedup(exact(1.0))
    with pytest.raises(ValueError, match="A/A launch 1: found 2 rounds"):
        TEST.speedup(exact(1.0), [Rounds([1, 1], [1, 1])])
    with pytest.raises(ValueError, match="found 0 launches at most"):
        looks_up_to(0)
    for peaks, null in (([], []), ([0.0], []), ([1e9, math.inf], []), ([1e9], [0.0])):
        with pytest.raises(ValueError, match="expected at least one peak, all above 0"):
            TEST.peak(peaks, null)
    for estimate, margin in ((Estimate(metric="speedup", value=1.0), 0.05), (TEST.speedup(exact(1.0)), 0.0)):
        with pytest.raises(ValueError, match="expected a ratio with an interval and a margin above 0"):
            compare(estimate, margin)
