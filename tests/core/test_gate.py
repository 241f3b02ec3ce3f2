"""The one gate: an estimate passes with its whole interval, fails with its whole interval, and is undecided between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.estimate import Estimate
from bench.core.gate import Limit, gate

finite = st.floats(-1e6, 1e6)


def estimate(low, high, **fields):
    value = None if low is None else (low + high) / 2
    return Estimate(**{"metric": "speedup", "value": value, "low": low, "high": high, **fields})


def verdict(low, high, **limit):
    return gate(estimate(low, high), Limit(bound=2.0, **limit)).verdict


@pytest.mark.parametrize(
    ("low", "high", "at_least", "at_most"),
    [
        (2.1, 2.2, "pass", "fail"),
        (1.8, 1.9, "fail", "pass"),
        (1.9, 2.1, "inconclusive", "inconclusive"),
        (2.0, 2.1, "pass", "inconclusive"),
        (1.9, 2.0, "inconclusive", "pass"),
        (2.0, 2.0, "pass", "pass"),
    ],
)
def test_the_whole_interval_decides_and_the_bound_itself_is_good_enough(low, high, at_least, at_most):
    assert verdict(low, high) == at_least
    assert verdict(low, high, at_most=True) == at_most


@pytest.mark.parametrize(
    ("low", "high", "at_least", "at_most"),
    [
        (2.1, 2.2, "pass", "fail"),
        (1.8, 1.9, "fail", "pass"),
        (2.0, 2.1, "inconclusive", "inconclusive"),
        (1.9, 2.0, "inconclusive", "inconclusive"),
        (2.0, 2.0, "inconclusive", "inconclusive"),
    ],
)
def test_of_a_strict_limit_the_bound_itself_is_not_good_enough(low, high, at_least, at_most):
    assert verdict(low, high, strict=True) == at_least
    assert verdict(low, high, strict=True, at_most=True) == at_most


@given(finite, finite, finite, st.booleans(), st.booleans())
def test_an_interval_that_contains_its_limit_is_inconclusive(one, other, bound, at_most, strict):
    low, high = sorted((one, other))
    found = gate(estimate(low, high), Limit(bound=bound, at_most=at_most, strict=strict)).verdict
    if low < bound < high:
        assert found == "inconclusive"
    if not low <= bound <= high:
        good = high < bound if at_most else low > bound
        assert found == ("pass" if good else "fail")


def test_reason_says_what_was_found_what_was_expected_and_what_to_do():
    limit = Limit(
        bound=2,
        missed="speedup_missed",
        undecided="speedup_undecided",
        advice="be faster",
        more="measure more",
    )
    missed = gate(estimate(1.0, 1.5, n=8), limit)
    assert (missed.reason_code, missed.reason) == (
        "speedup_missed", "speedup 1.25 [1, 1.5] of 8, at least 2 required; be faster",
    )  # fmt: skip
    undecided = gate(estimate(1.0, 2.5), limit)
    assert undecided.reason_code == "speedup_undecided"
    assert undecided.reason.endswith("the interval contains the limit; measure more")
    assert gate(estimate(2.0, 2.5), limit).reason == "speedup 2.25 [2, 2.5], at least 2 required"


def test_a_value_without_an_interval_is_undecided_unless_somebody_else_computed_it():
    bare = Estimate(metric="rmse", value=3.0, n=40, reason="a Trainer reports values without intervals")
    limit = Limit(bound=4, at_most=True)
    undecided = gate(bare, limit)
    assert undecided.verdict == "inconclusive"
    assert "there is no interval (a Trainer reports" in undecided.reason
    compared = Limit(bound=4, at_most=True, needs_interval=False)
    assert gate(bare, compared).verdict == "pass"
    assert gate(bare, compared).reason == "rmse 3 of 40, no interval known, at most 4 required"
    assert gate(bare, Limit(bound=2, at_most=True, needs_interval=False)).verdict == "fail"


def test_what_has_no_value_is_never_a_pass():
    nothing = Estimate(metric="pearson", reason="all predictions are equal")
    assert gate(nothing, Limit(bound=0.5)).verdict == "inconclusive"
    ungated = gate(nothing, None)
    assert ungated.verdict == "inconclusive"
    assert ungated.reason == "pearson has no value: all predictions are equal; evaluate more samples"


def test_without_a_limit_a_value_passes_and_is_shown():
    assert gate(estimate(1.0, 3.0, unit="x"), None).reason == "speedup 2x [1, 3]"


@pytest.mark.parametrize("bound", [float("nan"), float("inf"), -float("inf")])
def test_a_limit_that_decides_nothing_is_refused(bound):
    with pytest.raises(ValueError, match="expected a finite number"):
        Limit(bound=bound)
