"""The registry: a name is taken once, and an unknown one lists what is near."""

from __future__ import annotations

import pytest

from bench.acceleration.arm.detection import DETECTORS
from bench.acceleration.source.reading import KNOWN_METHODS
from bench.core.registry import Registry
from bench.metrics.image_fidelity import IMAGE_METRICS


def test_a_name_taken_twice_is_refused_with_both_places() -> None:
    registry: Registry = Registry("metric")
    registry.register("ssim")(lambda: 1)
    with pytest.raises(
        ValueError, match=r"metric 'ssim' is registered twice: in .*test_registry.* and in .*test_registry"
    ):
        registry.register("ssim")(lambda: 2)
    assert registry["ssim"]() == 1


def test_an_unknown_name_lists_the_nearest() -> None:
    registry: Registry = Registry("metric")
    registry.register("psnr_db")(lambda: 1)
    with pytest.raises(KeyError, match="no metric is named 'psnr'; nearest: psnr_db"):
        registry["psnr"]


def test_the_functions_keep_the_order_of_their_registration() -> None:
    assert list(IMAGE_METRICS) == ["ssim", "psnr_db"]


def test_every_detector_has_a_name_that_a_task_may_ask_for() -> None:
    # `patched_forward` is what is found when nothing known is: no text can name it.
    assert set(DETECTORS) - {"patched_forward"} <= set(KNOWN_METHODS)
