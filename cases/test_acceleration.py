"""Is a faster version of a diffusion pipeline the same pipeline, still good, and fast enough?

One test per task of the annotation lists. The candidate's configuration is compared with the target's before anything
is timed. Then rounds of baseline and candidate alternate on leased cores. Each limit is checked against the 95 %
interval, not the point estimate.
"""

from __future__ import annotations


def test_candidate(acceleration_case, evaluation):
    configuration = evaluation.check_configuration()
    assert configuration.holds, configuration.reason

    measured = evaluation.measure()
    assert measured.images.holds, measured.reason
    assert measured.steady.holds, measured.reason  # it did the same while it was timed
    assert measured.effect.holds, measured.reason  # a method that is asked for does something
    assert measured.quality.holds, measured.reason
    assert measured.latency.holds, measured.reason
    assert measured.speedup.holds, measured.reason
    assert measured.holds, measured.reason


def test_control_is_rejected(acceleration_control, evaluation):
    """A control is a candidate with a known fault: it is green when that very fault is found."""
    verdict = evaluation.verdict()
    expected = acceleration_control.expect
    assert not verdict.holds, f"expected {expected}, but nothing was found wrong: {verdict.reason}"
    assert verdict.reason_code == expected, f"expected {expected}: {verdict.reason}"
