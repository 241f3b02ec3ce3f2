"""Safeguards: each rejects what it is there for, and none decides what its interval leaves open."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bench.acceleration.image_rows import OF_BASELINE, close_rows, own_values
from bench.acceleration.pair_scores import PairScores
from bench.acceleration.safeguards import SAFEGUARDS, judge_safeguards
from bench.core.estimate import Estimate
from bench.metrics.measuring import measure
from bench.metrics.shipped_images import IMAGE_METRICS

RNG = np.random.default_rng(5)


def drawing(index: int) -> np.ndarray:
    """A square of a colour somewhere on a background of another one, with a little texture."""
    rng = np.random.default_rng(index)
    image = np.full((32, 32, 3), rng.integers(90, 200, 3), float)
    top, left = rng.integers(2, 16, 2)
    image[top : top + 12, left : left + 12] = rng.integers(30, 240, 3)
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


BASELINE = [drawing(index) for index in range(24)]


def tinted(red: int, green: int, blue: int):
    def change(image):
        return np.clip(image.astype(int) + np.array([red, green, blue]), 0, 255).astype(np.uint8)

    return change


def grey(image):
    return np.repeat(image.mean(axis=2, keepdims=True), 3, 2).astype(np.uint8)


def framed(image):
    made = np.zeros_like(image)
    made[4:-4, 4:-4] = image[4:-4, 4:-4]
    return made


def blocked(image):
    blocks = image.reshape(4, 8, 4, 8, 3).mean(axis=(1, 3))
    return ((blocks.repeat(8, 0).repeat(8, 1) + image.astype(float)) / 2).astype(np.uint8)


WORSE = {
    "blurred": lambda image: gaussian_filter(image, (1.2, 1.2, 0)),
    "noisy": lambda image: np.clip(image + RNG.normal(0, 25, image.shape), 0, 255).astype(np.uint8),
    "in blocks": blocked,
    "flat": lambda image: (128 + 0.4 * (image.astype(float) - 128)).astype(np.uint8),
    "darkened": tinted(-40, -40, -40),
    "brightened": tinted(40, 40, 40),
    "pale": grey,
    "tinted red": tinted(40, 0, 0),
    "tinted green": tinted(0, 40, 0),
    "tinted blue": tinted(0, 0, 50),
    "tinted yellow": tinted(40, 40, -40),
    "partly black": framed,
    "shifted to the right": lambda image: np.roll(image, 4, axis=1),
    "shifted upwards": lambda image: np.roll(image, -4, axis=0),
}


def scores(candidate, baseline=None) -> PairScores:
    """Return what a run would know of the pair."""
    baseline = BASELINE if baseline is None else baseline
    rows, problems = close_rows(candidate, baseline, measure)
    assert problems == []
    for prefix, images in ((OF_BASELINE, baseline), ("", candidate)):
        values, problems = own_values(images, measure)
        assert problems == []
        for name, of_each in values.items():
            for row, value in zip(rows, of_each, strict=True):
                row[f"{prefix}{name}"] = value
    return PairScores(Estimate(metric="quality_loss"), None, None, rows)


@pytest.mark.parametrize("word", WORSE)
def test_a_safeguard_rejects_what_it_is_there_for(word):
    verdict, _ = judge_safeguards(scores([WORSE[word](image) for image in BASELINE]))
    assert (verdict.verdict, verdict.reason_code) == ("fail", "images_degraded")
    assert word in verdict.reason
    assert "allowed" in verdict.reason


def test_images_that_are_all_alike_are_rejected():
    alike = [BASELINE[0] + (index % 2) for index in range(len(BASELINE))]
    verdict, _ = judge_safeguards(scores([image.astype(np.uint8) for image in alike]))
    assert verdict.reason_code == "images_degraded"
    assert "alike (diversity changes by" in verdict.reason


def test_the_same_images_and_other_images_of_the_same_kind_hold():
    assert judge_safeguards(scores(BASELINE)) == (judge_safeguards(scores(BASELINE))[0], [])
    assert judge_safeguards(scores(BASELINE))[0].holds
    others = [drawing(index + 100) for index in range(len(BASELINE))]
    assert judge_safeguards(scores(others))[0].holds, judge_safeguards(scores(others))[0].reason


def test_a_task_lifts_a_safeguard_by_name():
    blurred = scores([WORSE["blurred"](image) for image in BASELINE])
    first, _ = judge_safeguards(blurred)
    assert '"quality": {"sharpness": null}' in first.reason
    lifted = {guard.metric for guard in SAFEGUARDS}
    assert judge_safeguards(blurred, lifted)[0].holds
    assert not judge_safeguards(blurred, lifted - {"sharpness"})[0].holds


def test_what_the_interval_leaves_open_is_a_warning():
    """Half of three images are much darker: the mean is far off, and three images cannot tell."""
    few = BASELINE[:3]
    verdict, warnings = judge_safeguards(scores([few[0], few[1], tinted(-90, -90, -90)(few[2])], few))
    assert verdict.holds
    assert any("may be darkened" in warning for warning in warnings)


def test_flat_images_have_nothing_to_compare():
    flat = [np.full((8, 8, 3), level, np.uint8) for level in (10, 120, 240)]
    assert judge_safeguards(scores(flat, flat))[0].holds


def test_every_safeguard_is_of_a_metric_that_there_is():
    for guard in SAFEGUARDS:
        assert guard.metric in IMAGE_METRICS
        low, high = guard.allowed(10.0)
        assert low < 0 < high


def test_images_that_are_the_targets_own_are_not_degraded():
    from bench.acceleration.image_records import TargetImages
    from bench.acceleration.safeguards import forgiven
    from bench.core.verdict import PASSED, Verdict

    bad = Verdict("fail", "images_degraded", "the images are blurred; accelerate less aggressively")
    equal = TargetImages(status="equal")
    kept, said = forgiven({"quality": PASSED, "safeguards": bad}, equal)
    assert kept == {"quality": PASSED, "safeguards": PASSED}
    assert said == ["as those of the target, the images are blurred"]
    for images in (None, TargetImages(status="not_claimed"), TargetImages(status="different")):
        assert forgiven({"safeguards": bad}, images) == ({"safeguards": bad}, [])


def test_a_call_in_another_precision_may_round_more():
    from types import SimpleNamespace

    from bench.acceleration.image_gates import rounds_otherwise

    def body(target, candidate):
        config = {"target": SimpleNamespace(call=SimpleNamespace(state=target))}
        config["candidate"] = SimpleNamespace(call=SimpleNamespace(state=candidate))
        return SimpleNamespace(config=SimpleNamespace(**config))

    half = {"autocast.cpu": "bfloat16", "grad": False}
    assert rounds_otherwise(body({}, half))
    assert not rounds_otherwise(body(half, half))
    assert not rounds_otherwise(body({}, {"grad": False}))
