"""Changes between runs: the permutation test, independent estimates, Holm's rule, and where a level changes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bench.core.estimate import Estimate
from bench.statistics import change_points as points
from bench.statistics.changes import holm, independent_change, paired_change, sign_flip_p


@pytest.mark.parametrize("n", [5, 9])
def test_every_choice_of_signs_is_what_scipy_finds(n):
    moved = np.random.default_rng(n).normal(0.4, 1, n)
    exact = stats.permutation_test(
        (moved,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flip_p(moved) == pytest.approx(exact.pvalue)


def test_of_right_and_wrong_answers_it_is_mcnemars_exact_test():
    moved = np.array([1.0] * 2 + [-1.0] * 9 + [0.0] * 500)
    assert sign_flip_p(moved) == pytest.approx(stats.binomtest(2, 11).pvalue)


def test_with_many_samples_it_is_students_test():
    moved = np.random.default_rng(1).normal(0.1, 1, 1000)
    assert sign_flip_p(moved) == pytest.approx(stats.ttest_1samp(moved, 0).pvalue)
    fewer = moved[:150]
    assert sign_flip_p(fewer) == pytest.approx(stats.ttest_1samp(fewer, 0).pvalue, abs=0.02)


def test_no_difference_is_no_change():
    change, p = paired_change([1, 0, 1], [1, 0, 1], metric="m")
    assert (change.value, change.low, change.high, p) == (0, 0, 0, 1)


@pytest.mark.parametrize("values", [[1.0], [[1.0, 2.0]], [1.0, float("nan")]])
def test_what_cannot_be_paired_is_refused(values):
    with pytest.raises(ValueError, match="expected at least two finite ones"):
        paired_change(np.zeros_like(values), values, metric="m")


def test_a_change_by_chance_is_called_one_in_twenty_times():
    rng = np.random.default_rng(7)
    ps = [sign_flip_p(rng.normal(0, 1, 10)) for _ in range(400)]
    assert 0.02 < np.mean(np.array(ps) < 0.05) < 0.08


def estimate(value, half, unit=""):
    low, high = (None, None) if half is None else (value - half, value + half)
    return Estimate(metric="m", value=value, low=low, high=high, unit=unit)


def test_independent_estimates_have_the_p_of_a_z_test():
    change, p = independent_change(estimate(10, 1.96), estimate(12, 1.96))
    assert change.value == 2
    assert p == pytest.approx(2 * stats.norm.sf(2 / 2**0.5), rel=1e-4)
    assert (change.low, change.high) == pytest.approx((2 - 1.96 * 2**0.5, 2 + 1.96 * 2**0.5), rel=1e-4)


def test_a_ratio_changes_by_a_factor_and_without_an_interval_nothing_is_tested():
    change, p = independent_change(estimate(2.0, 0.1, "x"), estimate(1.0, None, "x"))
    assert (change.value, change.low, p) == (0.5, None, None)
    assert independent_change(estimate(2.0, 0.0), estimate(2.0, 0.0))[1] == 1.0
    assert independent_change(estimate(2.0, 0.0), estimate(3.0, 0.0))[1] == 0.0
    with pytest.raises(ValueError, match="without a value"):
        independent_change(Estimate(metric="m"), estimate(1.0, 0.1))


def test_holm_is_what_its_paper_says():
    """Holm 1979: the smallest p counts n times, the next n - 1 times, and none counts less than one before."""
    assert holm([]) == []
    assert holm([0.2]) == [0.2]
    assert holm([0.01, 0.02, 0.03, 0.9]) == pytest.approx([0.04, 0.06, 0.06, 0.9])
    assert holm([0.9, 0.6]) == [1.0, 1.0]


# Change points


@pytest.fixture
def _ruptures():
    pytest.importorskip("ruptures", reason="needs ruptures")


@pytest.mark.usefixtures("_ruptures")
def test_a_step_is_found_where_it_is_and_noise_is_none():
    rng = np.random.default_rng(2)
    noise = rng.normal(0, 0.02, 30)
    level = np.where(np.arange(30) < 18, 2.0, 1.7)
    assert points.change_points(list(level + noise)) == [18]
    assert points.change_points([1.0] * 9 + [2.0] * 6) == [9]
    assert points.change_points([1.0] * 20) == []
    assert points.change_points([1.0, 5.0, 1.0]) == []


@pytest.mark.usefixtures("_ruptures")
def test_plain_noise_is_seldom_called_a_change():
    rng = np.random.default_rng(4)
    found = sum(bool(points.change_points(list(rng.normal(0, 1, 20)))) for _ in range(200))
    assert found <= 20


@pytest.mark.usefixtures("_ruptures")
def test_what_a_single_value_is_uncertain_by_is_no_change():
    values = [1.0, 1.001, 1.0, 1.001, 1.03, 1.031, 1.03, 1.031]
    assert points.change_points(values) == [4]
    assert points.change_points(values, noise=0.02) == []
