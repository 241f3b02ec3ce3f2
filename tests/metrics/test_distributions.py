"""Distances between sets of embeddings against direct computations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from bench.metrics.distributions import LEAST_IMAGES, bias_warning, cmmd, distances, fid_clip

RNG = np.random.default_rng(0)
ONE, OTHER = RNG.normal(size=(200, 6)), RNG.normal(0.3, 1.4, size=(150, 6))


def test_the_frechet_distance_is_that_of_the_formula():
    means = ONE.mean(axis=0), OTHER.mean(axis=0)
    covariances = np.cov(ONE.T), np.cov(OTHER.T)
    root = sqrtm(covariances[0] @ covariances[1]).real
    expected = ((means[0] - means[1]) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert fid_clip(ONE, OTHER) == pytest.approx(expected, rel=1e-9)
    assert fid_clip(ONE, ONE) == pytest.approx(0, abs=1e-9)


def test_few_samples_in_many_dimensions_have_a_distance():
    few = RNG.normal(size=(4, 64))
    assert 0 <= fid_clip(few, few) < 1e-9
    assert fid_clip(few + 1, few) == pytest.approx(64)


def test_the_mean_discrepancy_is_that_of_the_formula():
    unit = [table / np.linalg.norm(table, axis=1, keepdims=True) for table in (ONE[:20], OTHER[:15])]

    def kernel(one, other):
        return np.mean([np.exp(-((a - b) ** 2).sum() / 200) for a in one for b in other])

    expected = 1000 * (kernel(unit[0], unit[0]) + kernel(unit[1], unit[1]) - 2 * kernel(*unit))
    assert cmmd(*unit) == pytest.approx(expected, rel=1e-6)


def test_both_are_too_large_for_small_samples():
    """Two halves of one distribution: the fewer, the further apart, which is what the warning says."""
    table = RNG.normal(size=(2000, 16))
    few, many = distances(table[:20], table[20:40]), distances(table[:1000], table[1000:])
    assert few["fid_clip"] > 10 * many["fid_clip"]
    assert few["cmmd"] > 10 * many["cmmd"]
    assert "of 32 images: both distances are too large" in bias_warning(32)
    assert bias_warning(LEAST_IMAGES) is None


@pytest.mark.parametrize("shapes", [((1, 4), (3, 4)), ((3, 4), (3, 5)), ((4,), (4,))])
def test_what_is_no_pair_of_tables_is_refused(shapes):
    with pytest.raises(ValueError, match="expected"):
        fid_clip(*(np.ones(shape) for shape in shapes))
