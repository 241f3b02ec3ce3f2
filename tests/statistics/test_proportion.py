"""The interval of a share is Wilson's."""

from __future__ import annotations

import math
import random

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


def test_a_mean_of_values_from_0_to_1_has_an_interval_between_those_of_shares():
    ends = [wilson_interval(total, 3) for total in (1, 1.5, 2)]
    assert ends == sorted(ends)
    assert ends[0][0] < ends[1][0] < ends[2][0]
    assert ends[0][1] < ends[1][1] < ends[2][1]
    assert sum(ends[1]) == pytest.approx(1)  # around a half it is symmetric


def test_the_interval_of_such_a_mean_holds_it_at_least_as_often_as_promised():
    """Uniform values, whose mean is a half: they scatter less than right and wrong answers do."""
    rng = random.Random(0)
    intervals = [wilson_interval(math.fsum(rng.random() for _ in range(20)), 20) for _ in range(2000)]
    assert sum(low <= 0.5 <= high for low, high in intervals) / len(intervals) > 0.95


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
