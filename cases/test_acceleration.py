"""Is a faster version of a diffusion pipeline still the same pipeline, still good, and fast enough?

One test per task of the annotation list. The candidate's configuration is compared with the target's
before anything is timed; then baseline and candidate take turns on cores that are leased for this pair
alone, and every limit is compared with the end of a 95 % interval, not with a bare number.
"""

from __future__ import annotations


def test_candidate(task, evaluation):
    configuration = evaluation.check_configuration()
    assert configuration.holds, configuration.reason

    measured = evaluation.measure()
    assert measured.images.holds, measured.reason
    assert measured.steady.holds, measured.reason  # it did the same while it was timed
    assert measured.quality.holds, measured.reason
    assert measured.latency.holds, measured.reason
    assert measured.speedup.holds, measured.reason


def test_control_is_rejected(control, evaluation):
    """A control is a candidate with a known fault: it is green when that very fault is found."""
    verdict = evaluation.verdict()
    assert not verdict.holds, f"expected {control.expect}, but nothing was found wrong: {verdict.reason}"
    assert verdict.reason_code == control.expect, f"expected {control.expect}: {verdict.reason}"
