"""A speedup, a latency and a quality loss have intervals that cover the truth, even of few rounds."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timed_pairs import SD, draw_pair, normal

from bench.core.estimate import Estimate
from bench.statistics.paired_times import (
    MIN_ROUNDS,
    latency_interval,
    quality_loss_interval,
    ratio_interval,
)


def ends(estimate):
    """Return value and interval."""
    return estimate.value, estimate.low, estimate.high


# --- speedup and latency ---------------------------------------------------------------------------------------


def test_constant_ratio_is_known_exactly():
    candidate_s = np.array([1.0, 2.0, 0.5, 1.5, 3.0])
    interval = ratio_interval(2 * candidate_s, candidate_s)
    assert ends(interval) == pytest.approx((2.0, 2.0, 2.0))
    assert (interval.metric, interval.unit, interval.n, interval.confidence) == ("speedup", "x", 5, 0.95)
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


@pytest.mark.slow  # thousands of simulated runs
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
    assert ends(latency) == ends(ratio)
    assert latency.low < 0.4 < latency.high
    assert (latency.metric, latency.unit, latency.n, latency.higher_is_better) == (
        "latency_s",
        "s",
        12,
        False,
    )


def test_same_seed_gives_the_same_interval():
    pair = draw_pair(normal, 1.5, seed=0, rounds=8)
    assert ratio_interval(*pair, seed=1) == ratio_interval(*pair, seed=1)
    assert ratio_interval(*pair, seed=1) != ratio_interval(*pair, seed=2)


seconds = st.floats(1e-3, 1e3)
pairs = st.lists(st.tuples(seconds, seconds), min_size=MIN_ROUNDS, max_size=12).map(
    lambda rows: (np.array([b for b, _ in rows]), np.array([c for _, c in rows]))
)


def _log_ends(interval):
    return np.log(ends(interval))


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


def test_an_interval_costs_little_compared_with_a_round():
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
    assert quality_loss_interval([30, -1, 50], [30, -1, 50]) == Estimate(
        metric="quality_loss", value=0.0, low=0.0, high=0.0, n=3, higher_is_better=False, confidence=0.95
    )


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
