"""The interval of a share is Wilson's."""

from __future__ import annotations

import math

import pytest
from scipy.stats import binomtest

from bench.statistics.proportion import check_confidence, wilson_interval


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 20), (20, 20), (7, 20), (812, 1000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_interval_of_a_share_is_wilsons(successes, n, confidence):
    expected = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    found = wilson_interval(successes, n, confidence=confidence)
    assert found == pytest.approx((expected.low, expected.high))
    assert 0 <= found[0] < found[1] <= 1


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_a_share_of_nothing_is_refused(successes, n):
    with pytest.raises(ValueError, match=r"found .* successes of"):
        wilson_interval(successes, n)


@pytest.mark.parametrize("confidence", [0, 1, 95, -0.5, math.nan])
def test_a_level_that_is_no_fraction_is_refused(confidence):
    with pytest.raises(ValueError, match=r"found a confidence of .*expected a fraction between 0 and 1"):
        check_confidence(confidence)
    with pytest.raises(ValueError, match="found a confidence of"):
        wilson_interval(1, 2, confidence=confidence)
