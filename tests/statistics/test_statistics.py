"""A verdict on speed or quality is wrong no more often than promised, and is reached early where it is clear."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.statistics.paired_times import (
    MIN_ROUNDS,
    Interval,
    SequentialTest,
    latency_interval,
    precise_enough,
    quality_loss_interval,
    ratio_interval,
)

SD = 0.06  # of a round's log ratio
REQUIRED = 1.5
QUICK = SequentialTest(resamples=1000)


def normal(rng, rounds):
    return rng.normal(0, SD, rounds)


def student_t3(rng, rounds):
    return rng.standard_t(3, rounds) * SD / math.sqrt(3)


def stalls_in_one_arm(rng, rounds):
    return rng.normal(0, SD, rounds) + (rng.random(rounds) < 0.1) * np.log(rng.uniform(1.5, 3, rounds))


def autocorrelated(rng, rounds):
    shocks = rng.normal(0, SD, rounds)
    shocks[1:] *= math.sqrt(1 - 0.3**2)
    for i in range(1, rounds):
        shocks[i] += 0.3 * shocks[i - 1]
    return shocks


def draw_pair(noise, ratio, seed, rounds=40):
    """Seconds of both arms with a true speedup of `ratio`; the noise of a ratio is put on the baseline."""
    rng = np.random.default_rng(seed)
    drift = np.exp(rng.normal(0, 0.2, rounds))  # of the machine: in both arms, so it must cancel
    return 2 * ratio * drift * np.exp(noise(rng, rounds)), 2 * drift


def run_to_decision(test, baseline_s, candidate_s, required=REQUIRED):
    rounds = test.next_look(0)
    while rounds is not None:
        decision = test.decide(test.interval(baseline_s[:rounds], candidate_s[:rounds]), required)
        if decision != "continue":
            return decision, rounds
        rounds = test.next_look(rounds)
    return "continue", max(test.looks)


def decisions_at_the_limit(test, noise, trials):
    return [run_to_decision(test, *draw_pair(noise, REQUIRED, seed))[0] for seed in range(trials)]


# --- the sequential test -------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [normal, student_t3, stalls_in_one_arm, autocorrelated])
def test_candidate_exactly_at_the_limit_is_decided_wrongly_in_at_most_five_percent(noise):
    decisions = decisions_at_the_limit(QUICK, noise, trials=150)
    assert decisions.count("pass") <= 0.05 * len(decisions)
    assert decisions.count("fail") <= 0.05 * len(decisions)


def test_looking_often_at_plain_95_percent_intervals_would_break_the_promise():
    """The gate above can fail: without Pocock's constant and the allowance, it does."""
    peeking = replace(QUICK, look_alpha=0.05, widen=1.0)
    decisions = decisions_at_the_limit(peeking, autocorrelated, trials=150)
    assert decisions.count("pass") > 0.1 * len(decisions)
    assert decisions.count("fail") > 0.1 * len(decisions)


@pytest.mark.parametrize(("ratio", "expected"), [(1.2 * REQUIRED, "pass"), (0.8 * REQUIRED, "fail")])
def test_clear_case_is_decided_rightly_and_at_the_first_look(ratio, expected):
    outcomes = [run_to_decision(QUICK, *draw_pair(normal, ratio, seed)) for seed in range(100)]
    assert {decision for decision, _ in outcomes} == {expected}
    assert np.mean([rounds == QUICK.looks[0] for _, rounds in outcomes]) > 0.8
    assert np.mean([rounds <= QUICK.looks[1] for _, rounds in outcomes]) > 0.98


@pytest.mark.parametrize(("ratio", "expected"), [(1.5 * REQUIRED, "pass"), (0.6 * REQUIRED, "fail")])
def test_one_stalled_round_does_not_keep_a_clear_case_open(ratio, expected):
    for stalled in ("baseline", "candidate"):
        baseline_s, candidate_s = draw_pair(normal, ratio, seed=3)
        (baseline_s if stalled == "baseline" else candidate_s)[2] *= 2.5
        assert run_to_decision(QUICK, baseline_s, candidate_s) == (expected, 6)


def test_slower_candidate_fails_even_a_requirement_of_one():
    decisions = [run_to_decision(QUICK, *draw_pair(normal, 0.9, seed), required=1.0)[0] for seed in range(20)]
    assert decisions == ["fail"] * 20


def test_reported_interval_is_the_one_that_decides_and_carries_the_overall_confidence():
    baseline_s, candidate_s = draw_pair(normal, 1.5, seed=1, rounds=10)
    test = SequentialTest()
    reported = test.interval(baseline_s, candidate_s)
    one_look = ratio_interval(baseline_s, candidate_s, alpha=0.05)
    assert reported.confidence == pytest.approx(0.95)
    assert reported.value == one_look.value
    assert reported.low < one_look.low < one_look.high < reported.high


@pytest.mark.parametrize(
    ("low", "high", "decision"),
    [(1.5, 1.7, "pass"), (1.4999, 1.7, "continue"), (1.3, 1.5, "continue"), (1.3, 1.4999, "fail")],
)
def test_speedup_passes_with_its_lower_end_at_the_requirement_and_fails_with_its_upper_end_below(
    low, high, decision
):
    assert SequentialTest().decide(Interval(1.5, low, high, 0.95), 1.5) == decision


@pytest.mark.parametrize(
    ("low", "high", "decision"),
    [(1.3, 1.5, "pass"), (1.3, 1.5001, "continue"), (1.5, 1.7, "continue"), (1.5001, 1.7, "fail")],
)
def test_latency_passes_with_its_upper_end_at_the_limit_and_fails_with_its_lower_end_above(
    low, high, decision
):
    assert SequentialTest().decide_latency(Interval(1.5, low, high, 0.95), 1.5) == decision


def test_looks_come_in_order_have_both_arm_orders_equally_often_and_end():
    test = SequentialTest()
    assert test.next_look(0) == 6
    assert [test.next_look(look) for look in test.looks] == [*test.looks[1:], None]
    assert test.next_look(7) == test.looks[1]
    assert all(look % 2 == 0 for look in test.looks)


# --- the intervals -------------------------------------------------------------------------------------------


def test_constant_ratio_is_known_exactly():
    candidate_s = np.array([1.0, 2.0, 0.5, 1.5, 3.0])
    interval = ratio_interval(2 * candidate_s, candidate_s)
    assert (interval.value, interval.low, interval.high) == pytest.approx((2.0, 2.0, 2.0))
    assert latency_interval([0.25] * 6).value == pytest.approx(0.25)


def test_symmetric_log_ratios_give_their_centre():
    interval = ratio_interval(np.exp([-0.2, -0.1, 0.0, 0.1, 0.2]), np.ones(5))
    assert interval.value == pytest.approx(1.0)
    assert interval.low == pytest.approx(1 / interval.high)
    assert interval.low < math.exp(-0.1)


def test_far_stall_leaves_the_estimate_where_the_other_rounds_put_it():
    clean = np.exp([-0.03, -0.02, -0.01, 0.01, 0.02, 0.03])
    stalled = np.append(clean, 3.0)
    assert ratio_interval(stalled, np.ones(7)).value == pytest.approx(1.0, abs=1e-9)
    assert np.exp(np.log(stalled).mean()) > 1.15  # what a mean makes of it


@pytest.mark.parametrize("rounds", [4, 6, 10])
def test_few_rounds_still_cover_the_truth(rounds):
    trials = 600
    intervals = [
        ratio_interval(*draw_pair(normal, 1.5, seed, rounds), seed=seed, resamples=1000)
        for seed in range(trials)
    ]
    covered = np.mean([interval.low <= 1.5 <= interval.high for interval in intervals])
    assert 0.93 <= covered <= 0.975


def test_latency_interval_is_that_of_the_times_themselves():
    seconds = 0.4 * np.exp(np.random.default_rng(2).normal(0, SD, 12))
    latency, ratio = latency_interval(seconds, seed=5), ratio_interval(seconds, np.ones(12), seed=5)
    assert latency == ratio
    assert latency.low < 0.4 < latency.high
    assert SequentialTest().latency_interval(seconds).high > latency.high


def test_same_seed_gives_the_same_interval():
    pair = draw_pair(normal, 1.5, seed=0, rounds=8)
    assert ratio_interval(*pair, seed=1) == ratio_interval(*pair, seed=1)
    assert ratio_interval(*pair, seed=1) != ratio_interval(*pair, seed=2)


seconds = st.floats(1e-3, 1e3)
pairs = st.lists(st.tuples(seconds, seconds), min_size=MIN_ROUNDS, max_size=12).map(
    lambda rows: (np.array([b for b, _ in rows]), np.array([c for _, c in rows]))
)


def _log_ends(interval):
    return np.log([interval.value, interval.low, interval.high])


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_swapping_the_arms_inverts_the_interval(pair):
    forward = _log_ends(ratio_interval(*pair, resamples=200))
    backward = _log_ends(ratio_interval(*reversed(pair), resamples=200))
    np.testing.assert_allclose(-backward[[0, 2, 1]], forward, atol=1e-8)


@settings(max_examples=60, deadline=None)
@given(pairs, st.sampled_from([2.0**-20, 0.5, 4.0, 2.0**20]))
def test_the_unit_of_time_changes_nothing(pair, unit):
    """Powers of two, so that the times scale without rounding and ties stay ties."""
    before, after = (ratio_interval(unit_ * pair[0], unit_ * pair[1], resamples=200) for unit_ in (1.0, unit))
    np.testing.assert_allclose(_log_ends(after), _log_ends(before), atol=1e-8)


@settings(max_examples=60, deadline=None)
@given(pairs, st.randoms(use_true_random=False))
def test_the_order_of_the_rounds_changes_nothing(pair, random):
    order = list(range(len(pair[0])))
    random.shuffle(order)
    shuffled = ratio_interval(pair[0][order], pair[1][order], resamples=200)
    assert shuffled == ratio_interval(*pair, resamples=200)


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_estimate_lies_inside_its_interval_and_inside_the_rounds(pair):
    interval = ratio_interval(*pair, resamples=200)
    ratios = pair[0] / pair[1]
    assert interval.low * (1 - 1e-9) <= interval.value <= interval.high * (1 + 1e-9)
    assert ratios.min() * (1 - 1e-9) <= interval.value <= ratios.max() * (1 + 1e-9)


def test_precision_is_judged_on_the_log_scale_in_both_directions():
    interval = Interval(2.0, 2.0 / 1.05, 2.0 * 1.05, 0.95)
    assert precise_enough(interval, 0.0501)
    assert not precise_enough(interval, 0.0499)
    with pytest.raises(ValueError, match="not for losses"):
        precise_enough(Interval(-0.01, -0.02, 0.01, 0.95), 0.05)


def test_an_interval_costs_little_beside_a_round():
    slowest = {6: 0.1, 40: 0.3}  # seconds; a busy machine included
    for rounds, limit in slowest.items():
        pair = draw_pair(normal, 1.5, seed=0, rounds=rounds)
        ratio_interval(*pair)  # loads scipy
        started = time.perf_counter()
        for _ in range(3):
            ratio_interval(*pair)
        assert (time.perf_counter() - started) / 3 < limit


# --- quality loss --------------------------------------------------------------------------------------------


def _scores(samples, seed=0, loss=0.04):
    rng = np.random.default_rng(seed)
    baseline = rng.normal(25, 3, samples)
    return baseline, (1 - loss) * baseline + rng.normal(0, 1.5, samples)


def test_quality_loss_by_hand():
    """(30 - 27) + (20 - 20) + (50 - 49) = 4 lost of 100."""
    assert quality_loss_interval([30, 20, 50], [27, 20, 49]).value == pytest.approx(0.04)


def test_unchanged_quality_is_no_loss_without_doubt():
    assert quality_loss_interval([30, -1, 50], [30, -1, 50]) == Interval(0.0, 0.0, 0.0, 0.95)


def test_better_quality_is_a_negative_loss():
    interval = quality_loss_interval([20.0] * 5, [22.0] * 5)
    assert interval.high == pytest.approx(-0.1)


@pytest.mark.parametrize("samples", [8, 40])
def test_quality_interval_agrees_with_a_plain_loop(samples):
    from scipy import stats

    baseline, candidate = _scores(samples)
    rng = np.random.default_rng(99)  # other draws on purpose: only their distribution is the same
    losses = []
    for _ in range(6000):
        lost = total = 0.0
        for i in rng.integers(samples, size=samples):
            lost += baseline[i] - candidate[i]
            total += baseline[i]
        losses.append(lost / total)
    loss = (baseline.sum() - candidate.sum()) / baseline.sum()
    stretch = stats.t.ppf(0.975, samples - 1) / stats.norm.ppf(0.975) * math.sqrt(samples / (samples - 1))
    low, high = (loss + stretch * (np.percentile(losses, p) - loss) for p in (2.5, 97.5))
    interval = quality_loss_interval(baseline, candidate, resamples=20_000)
    assert interval.value == pytest.approx(loss)
    tolerance = 0.04 * (high - low)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=tolerance)


@pytest.mark.parametrize("samples", [6, 30])
def test_quality_interval_covers_the_loss(samples):
    trials = 600
    intervals = [
        quality_loss_interval(*_scores(samples, seed), seed=seed, resamples=1000) for seed in range(trials)
    ]
    assert 0.92 <= np.mean([i.low <= 0.04 <= i.high for i in intervals]) <= 0.98


def test_pairing_narrows_the_quality_interval():
    baseline, candidate = _scores(40)
    paired = quality_loss_interval(baseline, candidate)
    unpaired = quality_loss_interval(baseline, np.random.default_rng(1).permutation(candidate))
    assert paired.high - paired.low < 0.6 * (unpaired.high - unpaired.low)


@pytest.mark.parametrize(
    ("baseline", "candidate", "message"),
    [
        ([30], [29], "found 1 baseline scores.*at least two"),
        ([30, 20, 10], [29, 20], "found 3 baseline scores and 2 candidate scores"),
        ([-3, 1], [1, 1], "sum to -2, expected more than zero"),
        ([0, 0], [0, 0], "sum to 0"),
        ([30, math.nan], [29, 20], r"found baseline_scores\[1\] = nan, expected a finite number"),
        ([30, 20], [29, math.inf], r"found candidate_scores\[1\] = inf"),
        ([5, -4.5, 3, -3], [1, 1, 1, 1], "too close to zero for their scatter"),
    ],
)
def test_scores_of_which_no_loss_can_be_computed_are_refused(baseline, candidate, message):
    with pytest.raises(ValueError, match=message):
        quality_loss_interval(baseline, candidate)


# --- refused times -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 0.0, -1.0])
@pytest.mark.parametrize("arm", ["baseline_s", "candidate_s"])
def test_impossible_time_is_refused_with_its_arm_and_round(bad, arm):
    times = {"baseline_s": [1.0] * 6, "candidate_s": [0.5] * 6}
    times[arm][3] = bad
    with pytest.raises(ValueError, match=rf"found {arm}\[3\] = {bad:g}.*expected"):
        ratio_interval(**times)
    with pytest.raises(ValueError, match=r"found seconds_per_image\[3\]"):
        latency_interval(times[arm])


def test_unpaired_too_few_or_shapeless_rounds_are_refused():
    with pytest.raises(ValueError, match="found 6 baseline rounds and 5 candidate rounds"):
        ratio_interval([1.0] * 6, [1.0] * 5)
    with pytest.raises(ValueError, match=f"found 3 rounds of baseline_s, expected at least {MIN_ROUNDS}"):
        ratio_interval([1.0] * 3, [1.0] * 3)
    with pytest.raises(ValueError, match=r"shape \(2, 3\)"):
        latency_interval([[1.0] * 3] * 2)
    with pytest.raises(ValueError, match="found alpha 2"):
        latency_interval([1.0] * 6, alpha=2)


@pytest.mark.parametrize("limit", [0.0, -1.0, math.nan, math.inf])
def test_impossible_requirement_is_refused_not_decided(limit):
    interval = Interval(1.5, 1.4, 1.6, 0.95)
    with pytest.raises(ValueError, match="required speedup"):
        SequentialTest().decide(interval, limit)
    with pytest.raises(ValueError, match="latency limit"):
        SequentialTest().decide_latency(interval, limit)
