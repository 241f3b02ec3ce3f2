"""A verdict on speed is wrong no more often than promised, and is reached early where it is clear."""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from timed_pairs import autocorrelated, draw_pair, normal, stalls_in_one_arm, student_t3

from bench.core.estimate import Estimate
from bench.core.gate import Limit, gate
from bench.statistics.paired_times import latency_interval, ratio_interval
from bench.statistics.sequential import SequentialTest, precise_enough, sample_looks

REQUIRED = 1.5
QUICK = SequentialTest(resamples=1000)


def decide(speedup, required):
    """Return what the gate says of a speedup."""
    return gate(speedup, Limit(bound=required)).verdict


def run_to_decision(test, baseline_s, candidate_s, required=REQUIRED):
    rounds = test.next_look(0)
    while rounds is not None:
        decision = decide(test.interval(baseline_s[:rounds], candidate_s[:rounds]), required)
        if decision != "inconclusive":
            return decision, rounds
        rounds = test.next_look(rounds)
    return "inconclusive", max(test.looks)


def decisions_at_the_limit(test, noise, trials):
    return [run_to_decision(test, *draw_pair(noise, REQUIRED, seed))[0] for seed in range(trials)]


@pytest.mark.slow  # thousands of simulated runs
@pytest.mark.parametrize("noise", [normal, student_t3, stalls_in_one_arm, autocorrelated])
def test_candidate_exactly_at_the_limit_is_decided_wrongly_in_at_most_five_percent(noise):
    decisions = decisions_at_the_limit(QUICK, noise, trials=150)
    assert decisions.count("pass") <= 0.05 * len(decisions)
    assert decisions.count("fail") <= 0.05 * len(decisions)


@pytest.mark.slow
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


def bounds(metric, low, high, **fields):
    return Estimate(metric=metric, value=1.5, low=low, high=high, **fields)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(1.5, 1.7, "pass"), (1.4999, 1.7, "inconclusive"), (1.3, 1.5, "inconclusive"), (1.3, 1.4999, "fail")],
)
def test_speedup_passes_with_its_lower_end_at_the_requirement_and_fails_with_its_upper_end_below(
    low, high, verdict
):
    assert gate(bounds("speedup", low, high), Limit(bound=1.5)).verdict == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(1.3, 1.5, "pass"), (1.3, 1.5001, "inconclusive"), (1.5, 1.7, "inconclusive"), (1.5001, 1.7, "fail")],
)
def test_latency_passes_with_its_upper_end_at_the_limit_and_fails_with_its_lower_end_above(
    low, high, verdict
):
    latency = bounds("latency_s", low, high, unit="s", higher_is_better=False)
    assert gate(latency, Limit(bound=1.5, at_most=True)).verdict == verdict


def test_looks_come_in_order_have_both_arm_orders_equally_often_and_end():
    test = SequentialTest()
    assert test.next_look(0) == 6
    assert [test.next_look(look) for look in test.looks] == [*test.looks[1:], None]
    assert test.next_look(7) == test.looks[1]
    assert all(look % 2 == 0 for look in test.looks)


def test_latency_holds_at_all_looks_too():
    seconds, _ = draw_pair(normal, 1.0, seed=2, rounds=12)
    over_all = SequentialTest().latency_interval(seconds)
    alone = latency_interval(seconds)
    assert over_all.value == alone.value
    assert over_all.low < alone.low < alone.high < over_all.high
    assert (over_all.metric, over_all.unit, over_all.n, over_all.higher_is_better) == (
        "latency_s",
        "s",
        12,
        False,
    )


def test_precision_is_judged_on_the_log_scale_in_both_directions():
    speedup = Estimate(metric="speedup", value=2.0, low=2.0 / 1.05, high=2.0 * 1.05)
    assert precise_enough(speedup, 0.0501)
    assert not precise_enough(speedup, 0.0499)
    with pytest.raises(ValueError, match="not for losses"):
        precise_enough(Estimate(metric="quality_loss", value=-0.01, low=-0.02, high=0.01), 0.05)


@pytest.mark.parametrize(("low", "high"), [(0.0, 2.1), (-1.0, 2.1), (1.9, float("inf"))])
def test_an_interval_without_a_bound_is_never_precise_enough(low, high):
    assert not precise_enough(Estimate(metric="speedup", value=2.0, low=low, high=high), 1e9)


@pytest.mark.parametrize("fields", [{}, {"value": 2.0}, {"value": 2.0, "low": 1.9}])
def test_precision_of_what_was_not_measured_is_refused(fields):
    with pytest.raises(ValueError, match="found speedup without a value or an interval"):
        precise_enough(Estimate(metric="speedup", **fields), 0.05)


# Looks at samples


def test_two_looks_at_samples_are_wrong_in_five_percent_together():
    looks = sample_looks(64, made=8, step=4)
    assert looks.counts == (32, 64)
    reach = NormalDist().inv_cdf(1 - looks.look_alpha / 2)
    drawn = np.random.default_rng(0).normal(0, 1, (20_000, 64))
    means = np.stack([drawn[:, :count].sum(axis=1) / np.sqrt(count) for count in looks.counts])
    assert np.mean((np.abs(means) > reach).any(axis=0)) == pytest.approx(0.05, abs=0.006)


@pytest.mark.parametrize("made", [0, 5, 16, 40, 63, 64, 500])
@pytest.mark.parametrize("step", [1, 3, 4, 100])
def test_a_look_at_part_of_the_samples_saves_a_quarter_of_them_or_there_is_none(made, step):
    looks = sample_looks(64, made=made, step=step)
    assert sample_looks(64, made=made, step=step, least=64).counts == (64,)
    assert looks.counts[-1] == 64
    first = looks.counts[0]
    assert first == 64 or (first <= 48 and first >= max(made, 32))
    assert looks.look_alpha == (0.05 if len(looks.counts) == 1 else 0.0294)
