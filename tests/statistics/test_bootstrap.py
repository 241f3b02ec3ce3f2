"""The seed decides the resamples, not the blocks, and intervals are quantiles of what was drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bench.statistics import bootstrap
from bench.statistics.bootstrap import (
    expanded_tail,
    interval_ends,
    mean_intervals,
    resampled_indices,
    resampled_weights,
    stretched_interval,
)


def drawn(n, resamples, seed=0, **options):
    return np.concatenate(list(resampled_indices(n, resamples, seed, **options)))


@pytest.mark.parametrize("n", [1, 7, 50])
def test_draws_are_those_of_the_generator_however_they_are_cut_into_blocks(n, monkeypatch):
    whole = np.random.default_rng(3).integers(0, n, size=(200, n))
    assert (drawn(n, 200, 3) == whole).all()
    monkeypatch.setattr(bootstrap, "_BLOCK_ELEMENTS", 11 * n)
    assert len(list(resampled_indices(n, 200, 3))) == 19
    assert (drawn(n, 200, 3) == whole).all()
    assert len(list(resampled_indices(n, 200, 3, width=11))) == 200
    assert (drawn(n, 200, 3, width=11) == whole).all()


@pytest.mark.parametrize(("resamples", "rows"), [(1000, 1000), (7, 6), (1, 2)])
def test_mirrored_draws_come_in_pairs_that_mirror_each_other(resamples, rows, monkeypatch):
    monkeypatch.setattr(bootstrap, "_BLOCK_ELEMENTS", 300)
    blocks = list(resampled_indices(6, resamples, 1, mirrored=True))
    assert sum(map(len, blocks)) == rows
    for block, mirror in zip(blocks[::2], blocks[1::2], strict=True):
        assert (block + mirror == 5).all()


def test_mirrored_draws_of_sorted_values_and_of_their_negatives_differ_in_the_sign_alone():
    values = np.sort(np.random.default_rng(2).normal(size=6))
    draws = drawn(6, 1000, mirrored=True)
    means, negative = np.sort(values[draws].mean(axis=1)), np.sort((-values[::-1])[draws].mean(axis=1))
    np.testing.assert_allclose(means, -negative[::-1], atol=1e-15)


def test_weights_count_what_was_drawn():
    weights = np.concatenate(list(resampled_weights(5, 300, 4)))
    expected = [np.bincount(row, minlength=5) for row in drawn(5, 300, 4)]
    assert weights.dtype == np.float64
    assert (weights == expected).all()


@pytest.mark.parametrize("n", [2, 10, 400])
def test_the_quantile_level_is_hesterbergs(n):
    expected = stats.norm.cdf(-stats.t.ppf(0.975, n - 1) * math.sqrt(n / (n - 1)))
    assert expanded_tail(n, 0.025) == pytest.approx(expected)
    assert expanded_tail(n, 0.025) < 0.025


def test_ends_are_draws_themselves_unless_they_are_interpolated():
    draws = np.random.default_rng(0).normal(size=999)
    level = expanded_tail(20, 0.025)
    low, high = interval_ends(draws, 20, 0.025)
    assert low in draws
    assert high in draws
    between = interval_ends(draws, 20, 0.025, interpolated=True)
    assert between == (np.quantile(draws, level), np.quantile(draws, 1 - level))
    assert low < between[0] < between[1] < high


def test_draws_that_do_not_exist_are_the_worst_for_one_end_and_the_best_for_the_other():
    draws = np.arange(1000.0)
    few, many = draws.copy(), draws.copy()
    few[500:503], many[500:600] = np.nan, np.nan
    low, high = interval_ends(draws, 50, 0.025)
    assert interval_ends(few, 50, 0.025) == (low - 3, high + 3)
    assert interval_ends(many, 50, 0.025) == (-np.inf, np.inf)


def test_a_stretched_interval_has_longer_arms_by_students_t():
    draws = np.random.default_rng(1).exponential(size=2000)
    low, high = np.quantile(draws, (0.025, 0.975))
    stretch = 1.2 * stats.t.ppf(0.975, 7) / stats.norm.ppf(0.975) * math.sqrt(9 / 8)
    found = stretched_interval(1.0, draws, n=9, freedom=7, alpha=0.05, widen=1.2)
    assert found == pytest.approx((1 - stretch * (1 - low), 1 + stretch * (high - 1)))


def test_columns_are_drawn_together_so_that_their_difference_is_paired():
    rng = np.random.default_rng(6)
    column = rng.normal(size=40)
    table = np.stack([column, column + 0.5, np.full(40, 0.5)], axis=1)
    first, shifted, constant = mean_intervals(table, 0)
    assert shifted == pytest.approx(first + 0.5)
    assert constant.tolist() == [0.5, 0.5]
    assert mean_intervals(table[:, :1], 0) == pytest.approx(first[None])
    assert mean_intervals(table, 0, confidence=0.5)[0, 0] > first[0]
    standard_error = column.std(ddof=1) / math.sqrt(40)
    assert first[1] - first[0] == pytest.approx(2 * 2.02 * standard_error, rel=0.1)


@pytest.mark.parametrize("values", [[1.0, 2.0], [[1.0]], [[1.0], [np.nan]], [[1.0], [np.inf]]])
def test_values_without_scatter_or_shape_have_no_interval(values):
    with pytest.raises(
        ValueError, match=r"expected finite ones of shape \(samples, columns\) and at least two"
    ):
        mean_intervals(values, 0)
