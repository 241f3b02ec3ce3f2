"""Equivalence by two one-sided tests."""

from __future__ import annotations

import math

import pytest

from bench.core.estimate import Estimate
from bench.statistics.equivalence import equivalence


def estimate(low: float | None, high: float | None) -> Estimate:
    return Estimate(metric="m", value=0.0, low=low, high=high)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-0.5, 0.5, "equal"),
        (-1.0, 1.0, "equal"),  # the margin itself is within
        (-1.01, 0.0, "undecided"),
        (0.0, 1.01, "undecided"),
        (-5.0, 5.0, "undecided"),
        (1.01, 2.0, "different"),
        (-2.0, -1.01, "different"),
        (None, None, "undecided"),
        (math.nan, 0.0, "undecided"),
    ],
)
def test_the_whole_interval_has_to_be_within_the_margin(low, high, expected):
    assert equivalence(estimate(low, high), 0, 1) == expected


def test_the_centre_moves_the_margin():
    assert equivalence(estimate(0.97, 0.99), 1, 0.05) == "equal"
    assert equivalence(estimate(0.97, 0.99), 0, 0.05) == "different"


def test_without_a_margin_only_the_value_itself_is_equal():
    assert equivalence(estimate(1, 1), 1, 0) == "equal"
    assert equivalence(estimate(1, 1.1), 1, 0) == "undecided"


@pytest.mark.parametrize("margin", [-1, math.nan])
def test_a_margin_that_is_none_is_refused(margin):
    with pytest.raises(ValueError, match="expected a number from 0"):
        equivalence(estimate(0, 1), 0, margin)
