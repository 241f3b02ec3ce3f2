"""Predicted numbers are scored as by scipy and scikit-learn; a correlation that does not exist is none."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import cohen_kappa_score, mean_absolute_error, r2_score, root_mean_squared_error

from bench.metrics.regression import (
    REGRESSION_METRICS,
    Samples,
    mae,
    pearson,
    quadratic_weighted_kappa,
    r2,
    rmse,
    spearman,
    with_interval,
)
from bench.statistics.bootstrap import expanded_tail, resampled_weights

ORACLES = {
    "pearson": lambda gold, prediction: pearsonr(gold, prediction).statistic,
    "spearman": lambda gold, prediction: spearmanr(gold, prediction).statistic,
    "mae": mean_absolute_error,
    "rmse": root_mean_squared_error,
    "r2": r2_score,
    "quadratic_weighted_kappa": lambda gold, prediction: cohen_kappa_score(
        gold.astype(int), np.rint(prediction).clip(1, 6).astype(int), labels=range(1, 7), weights="quadratic"
    ),
}
ESSAYS = (1, 6)
EVERY_METRIC = sorted(ORACLES)


def scored_texts(seed, n=50):
    """Return labels from 1 to 6 and predictions near them, one of them shared by several samples."""
    rng = np.random.default_rng(seed)
    gold = rng.integers(1, 7, size=n).astype(float)
    return gold, np.round(gold + rng.normal(size=n), 1)


def value(metric, gold, prediction):
    return REGRESSION_METRICS[metric](gold, prediction, label_range=ESSAYS)


def interval(metric, gold, prediction, seed=0, **options):
    return with_interval(metric, gold, prediction, seed, label_range=ESSAYS, **options)


# --- values ------------------------------------------------------------------------------------------------------


def test_every_metric_has_an_oracle():
    assert sorted(REGRESSION_METRICS) == EVERY_METRIC


@pytest.mark.parametrize("metric", EVERY_METRIC)
@pytest.mark.parametrize("seed", range(3))
def test_scipy_and_scikit_learn_give_the_same_value(metric, seed):
    gold, prediction = scored_texts(seed)
    assert value(metric, gold, prediction) == pytest.approx(ORACLES[metric](gold, prediction), abs=1e-12)


@pytest.mark.parametrize("metric", EVERY_METRIC)
def test_a_resample_is_scored_as_its_samples_written_out(metric):
    gold, prediction = scored_texts(4, n=30)
    drawn = np.random.default_rng(5).integers(0, 30, size=30)
    weights = np.bincount(drawn, minlength=30).astype(float)[None]
    found = REGRESSION_METRICS[metric].function(Samples(gold, prediction, weights, ESSAYS))
    assert found == pytest.approx([ORACLES[metric](gold[drawn], prediction[drawn])], abs=1e-12)


def test_labels_that_nobody_got_widen_the_gap():
    # By hand: of four samples one is off by 3 steps of the declared scale, not by 1 of the labels seen.
    gold, prediction = [1, 1, 4, 4], [1, 1, 4, 1]
    by_chance = np.mean([(g - p) ** 2 for g in gold for p in prediction])
    expected = 1 - (9 / 4) / by_chance
    assert quadratic_weighted_kappa(gold, prediction, label_range=(1, 6)) == pytest.approx(expected)
    far = [1, 2, 60, 60, 1]
    near = [1, 2, 59, 60, 2]
    declared = cohen_kappa_score(far, near, labels=range(1, 61), weights="quadratic")
    assert quadratic_weighted_kappa(far, near, label_range=(1, 60)) == pytest.approx(declared)
    assert cohen_kappa_score(far, near, weights="quadratic") < declared - 0.01


def test_predictions_are_rounded_and_clipped_to_labels():
    assert quadratic_weighted_kappa([1, 6, 3], [-4.0, 99.0, 3.4], label_range=ESSAYS) == 1


def test_numbers_far_from_0_keep_their_correlation():
    gold, prediction = scored_texts(6)
    assert pearson(gold + 1e6, prediction - 1e6) == pytest.approx(pearson(gold, prediction), abs=1e-8)


# --- what does not exist -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("constant", [3.0, 0.1, 0.0], ids=str)
@pytest.mark.parametrize("metric", ["pearson", "spearman"])
def test_a_correlation_with_a_constant_is_none_with_a_reason(metric, constant):
    gold, _ = scored_texts(7)
    prediction = np.full(50, constant)
    assert value(metric, gold, prediction) is None
    found = interval(metric, gold, prediction)
    assert (found.value, found.low, found.high, found.n) == (None, None, None, 50)
    assert found.reason == (
        f"{metric} does not exist where the prediction is constant: all 50 values are {constant:g}, but for rounding"
    )


def test_a_prediction_that_scatters_by_rounding_is_constant():
    gold, _ = scored_texts(8)
    almost = 0.1 + np.arange(50) % 2 * 1e-17 + np.where(gold > 3, 1e-16, 0)
    assert pearson(gold, almost) is None
    assert spearman(gold, almost) is None


@pytest.mark.parametrize("metric", ["pearson", "spearman", "r2"])
def test_constant_gold_is_told_apart_from_constant_predictions(metric):
    found = interval(metric, [2, 2, 2], [1, 2, 3])
    assert found.value is None
    assert "where the gold is constant: all 3 values are 2" in found.reason


def test_errors_and_agreement_of_a_constant_exist():
    gold, constant = [1.0, 2, 3], [2.0, 2, 2]
    assert (mae(gold, constant), r2(gold, constant)) == (pytest.approx(2 / 3), 0)
    assert rmse(gold, constant) == pytest.approx((2 / 3) ** 0.5)
    assert quadratic_weighted_kappa(gold, constant, label_range=(1, 3)) == 0


def test_agreement_on_one_label_only_says_nothing():
    found = interval("quadratic_weighted_kappa", [2, 2], [2, 2])
    assert found.value is None
    assert "one and the same label: all 2 are 2" in found.reason


# --- intervals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", EVERY_METRIC)
def test_an_interval_is_around_the_value_and_given_by_its_seed(metric):
    gold, prediction = scored_texts(9)
    found = interval(metric, gold, prediction)
    assert found.low < found.value < found.high
    assert found.value == value(metric, gold, prediction)
    assert (found.metric, found.n, found.reason) == (metric, 50, None)
    assert found.higher_is_better == (metric not in ("mae", "rmse"))
    assert interval(metric, gold, prediction) == found
    assert interval(metric, gold, prediction, seed=1) != found
    assert interval(metric, gold, prediction, confidence=0.5).low > found.low
    assert with_interval(REGRESSION_METRICS[metric], gold, prediction, 0, label_range=ESSAYS) == found


def test_the_interval_of_a_mean_is_that_of_its_standard_error():
    rng = np.random.default_rng(10)
    error = np.abs(rng.normal(size=400))
    found = with_interval("mae", np.zeros(400), error, 0)
    expected = 1.96 * error.std(ddof=1) / 20
    assert found.high - found.value == pytest.approx(expected, rel=0.1)
    assert found.value - found.low == pytest.approx(expected, rel=0.1)


def test_perfect_predictions_have_no_scatter():
    gold, _ = scored_texts(11)
    assert (interval("mae", gold, gold).low, interval("mae", gold, gold).high) == (0, 0)
    found = interval("pearson", gold, gold)
    assert (found.low, found.high) == (pytest.approx(1), pytest.approx(1))


def test_one_sample_has_an_error_and_no_interval():
    found = interval("mae", [2], [3])
    assert (found.value, found.low, found.high, found.n) == (1, None, None, 1)
    assert found.reason == "one sample says nothing of the scatter"
    assert interval("pearson", [2], [3]).value is None


def test_resamples_in_which_a_correlation_does_not_exist_widen_the_interval():
    # One prediction differs: it is missing from a third of the resamples.
    found = interval("pearson", [1, 2, 3, 4, 5, 6], [0, 0, 0, 0, 0, 1])
    assert found.value > 0
    assert found.low is None
    assert found.high is None
    undefined = int(re.search(r"does not exist in (\d+) of 5000 resamples", found.reason)[1])
    assert 0.25 < undefined / 5000 < 0.45
    # A third of these predictions differs: too few resamples are without it to take the interval away.
    gold, prediction = np.arange(12.0), np.array([0] * 8 + [1] * 4)
    rarely = with_interval("pearson", gold, prediction, 0)
    draws = np.concatenate(
        [
            pearson.function(Samples(gold, prediction, weights, None))
            for weights in resampled_weights(12, 5000, 0)
        ]
    )
    assert np.isnan(draws).any()
    assert (
        rarely.low
        < np.nanquantile(draws, expanded_tail(12, 0.025), method="lower")
        < rarely.value
        < rarely.high
    )


# --- properties --------------------------------------------------------------------------------------------------

pairs = st.lists(st.tuples(st.integers(1, 6), st.floats(0, 7, width=16)), min_size=2, max_size=30)


@settings(max_examples=60, deadline=None)
@given(pairs, st.randoms(use_true_random=False))
def test_values_are_in_bounds_whatever_the_order(rows, random):
    gold, prediction = np.array(rows).T
    random.shuffle(rows)
    shuffled_gold, shuffled_prediction = np.array(rows).T
    for metric in EVERY_METRIC:
        found = value(metric, gold, prediction)
        again = value(metric, shuffled_gold, shuffled_prediction)
        assert (found is None) == (again is None)
        if found is not None:
            assert found == pytest.approx(again, abs=1e-9)
            if metric in ("pearson", "spearman", "quadratic_weighted_kappa"):
                assert -1 <= found <= 1
            elif metric == "r2":
                assert found <= 1
            else:
                assert found >= 0
    assert value("mae", gold, prediction) <= value("rmse", gold, prediction) + 1e-12


@settings(max_examples=40, deadline=None)
@given(pairs)
def test_correlations_do_not_depend_on_the_scale(rows):
    gold, prediction = np.array(rows).T
    for metric in (pearson, spearman):
        found, scaled = metric(gold, prediction), metric(gold, 3 * prediction + 10)
        assert found == (None if scaled is None else pytest.approx(scaled, abs=1e-9))


# --- faults ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gold", "prediction", "options", "message"),
    [
        ([1, 2], [1], {}, r"found 2 gold values and 1 predictions, expected equal numbers"),
        ([], [], {}, r"gold of shape \(0,\).*expected at least one number"),
        ([1], [[1]], {}, r"prediction of shape \(1, 1\).*take its column"),
        (["1"], [1], {}, r"found gold\[0\] = '1', expected a number"),
        ([1, None], [1, 2], {}, r"found gold\[1\] = None, expected a number"),
        ([1, 2], [1.0, "two"], {}, r"found prediction\[1\] = 'two', expected a number"),
        (np.array([1, None, 2]), [1, 2, 3], {}, r"found gold\[1\] = None"),
        ([[1, 2], [1]], [1, 2], {}, "found gold of values with different shapes"),
        ([1, 2], [1, np.nan], {}, r"prediction\[1\] = nan, expected a finite number"),
        ([np.inf], [1], {}, r"gold\[0\] = inf"),
        ([1, 7], [1, 2], {"label_range": ESSAYS}, r"gold\[1\] = 7, expected .* declared range from 1 to 6"),
        (
            [1],
            [1],
            {"label_range": (6, 1)},
            r"label_range \(6, 1\), expected two finite .* smaller one first",
        ),
        ([1], [1], {"confidence": 1}, r"confidence of 1 and 5000 resamples, expected a fraction"),
        ([1], [1], {"resamples": 0}, r"0 resamples, expected"),
    ],
)
def test_values_that_cannot_be_scored_are_refused(gold, prediction, options, message):
    with pytest.raises(ValueError, match=message):
        with_interval("mae", gold, prediction, 0, **options)


@pytest.mark.parametrize(
    ("gold", "label_range", "message"),
    [
        ([1, 2], None, r"no label_range for quadratic_weighted_kappa.*need not be all"),
        ([1, 2.5], ESSAYS, r"gold\[1\] = 2.5, expected a whole number"),
        ([0, 2], ESSAYS, r"gold\[0\] = 0, expected .* declared range"),
        ([1, 2], (0.5, 6), r"label_range \(0.5, 6\), expected .* both whole"),
    ],
)
def test_labels_need_a_declared_scale_of_whole_numbers(gold, label_range, message):
    with pytest.raises(ValueError, match=message):
        quadratic_weighted_kappa(gold, [1, 2], label_range=label_range)


def test_an_unknown_metric_is_answered_with_the_nearest_names():
    with pytest.raises(KeyError, match=r"no regression metric is named 'pearsn'; nearest: pearson"):
        with_interval("pearsn", [1], [1], 0)
