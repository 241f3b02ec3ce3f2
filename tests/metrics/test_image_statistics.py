"""What images are like: each statistic moves with what it is named for, and stays with what it is not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bench.metrics.image_fidelity import ImageMetrics
from bench.metrics.measuring import measure, measured
from bench.metrics.shipped_images import IMAGE_METRICS

RNG = np.random.default_rng(3)
IMAGE = np.full((64, 64, 3), 120, np.uint8)
IMAGE[16:48, 16:48] = (200, 60, 40)
IMAGE = np.clip(IMAGE + RNG.normal(0, 3, IMAGE.shape), 0, 255).astype(np.uint8)


def value(name, image=IMAGE):
    return measured(name, [image])[0]


def test_blur_noise_and_blocks_are_seen():
    blurred = gaussian_filter(IMAGE, (1.5, 1.5, 0))
    noisy = np.clip(IMAGE + RNG.normal(0, 20, IMAGE.shape), 0, 255).astype(np.uint8)
    blocks = IMAGE.astype(int) + 40 * ((np.arange(64) // 8 % 2)[:, None, None] - 0.5)
    assert value("sharpness", blurred) < value("sharpness") < value("sharpness", noisy)
    assert value("noise", blurred) < value("noise") < value("noise", noisy)
    # The luma of independent noise in three channels, next to the 3 levels that are there.
    assert value("noise", noisy) == pytest.approx(20 * np.linalg.norm([0.299, 0.587, 0.114]), rel=0.15)
    assert value("blockiness", blocks.clip(0, 255).astype(np.uint8)) > 2 * value("blockiness")


def test_light_and_colour_are_seen():
    darker, greyer = IMAGE // 2, np.repeat(IMAGE.mean(axis=2, keepdims=True), 3, 2).astype(np.uint8)
    assert value("brightness", darker) == pytest.approx(value("brightness") / 2, abs=1)
    assert value("contrast", darker) == pytest.approx(value("contrast") / 2, abs=1)
    assert value("saturation", greyer) == 0 < value("saturation")
    red, blue = IMAGE.copy(), IMAGE.copy()
    red[..., 0] |= 128
    blue[..., 2] |= 128
    assert value("red_green", red) > value("red_green")
    assert value("yellow_blue", blue) < value("yellow_blue")
    framed = np.zeros_like(IMAGE)
    framed[8:-8, 8:-8] = IMAGE[8:-8, 8:-8]
    assert value("black_share") == 0
    assert value("black_share", framed) == pytest.approx(1 - 48**2 / 64**2)


def test_a_shift_is_measured_and_another_brightness_is_none():
    moved = np.roll(IMAGE, (3, -5), axis=(0, 1))
    assert measured("shift_y", [moved], [IMAGE]) == [pytest.approx(3 / 64)]
    assert measured("shift_x", [moved], [IMAGE]) == [pytest.approx(-5 / 64)]
    brighter = np.clip(IMAGE.astype(int) + 20, 0, 255).astype(np.uint8)
    assert measured("shift_x", [brighter], [IMAGE]) == [0]
    flat = np.zeros_like(IMAGE)
    assert measured("shift_x", [flat], [IMAGE]) == [0]


def test_diversity_is_of_the_image_most_alike():
    others = [np.full((64, 64, 3), level, np.uint8) for level in (0, 10, 250)]
    assert measured("diversity", others) == [pytest.approx(10), pytest.approx(10), pytest.approx(240)]
    assert measured("diversity", others[:1]) == [None]


def test_flat_and_tiny_images_have_values_or_none_and_raise_nothing():
    for image in (np.zeros((8, 8, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8), IMAGE[:2, :2]):
        values, problems = measure(IMAGE_METRICS.of_form("image"), [image])
        assert problems == {}
        assert values["brightness"] != [None]


def test_values_stay_in_their_range():
    images = [IMAGE, np.zeros((32, 32, 3), np.uint8), RNG.integers(0, 256, (40, 24, 3), np.uint8)]
    for name in IMAGE_METRICS.of_form("image", "set"):
        metric = IMAGE_METRICS[name]
        for number in measured(name, images):
            assert number is None or metric.low <= number <= metric.high, name


@pytest.mark.parametrize("image", [IMAGE[:31, :47], IMAGE[:16, :16]])
def test_any_size_does(image):
    assert measure(IMAGE_METRICS.of_form("image"), [image])[1] == {}


# Metrics of users


def test_a_metric_that_gives_too_few_values_says_so(monkeypatch):
    for name in ("_things", "_places"):
        monkeypatch.setattr(IMAGE_METRICS, name, dict(getattr(IMAGE_METRICS, name)))
    IMAGE_METRICS.register("few", form="set")(lambda images: [1.0])
    _, problems = measure(["few"], [IMAGE, IMAGE])
    assert "the image metric 'few'" in problems["few"]
    assert "returned 1 values for 2 images; expected one for each; fix the metric" in problems["few"]


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"form": "video"}, "has the form 'video'; expected pair, image or set"),
        ({"low": 1, "high": 1}, "has a range from 1 to 1; expected low below high"),
    ],
)
def test_what_a_metric_declares_is_checked(declared, said):
    with pytest.raises(ValueError, match=said):
        ImageMetrics("image metric").register("mine", **declared)
