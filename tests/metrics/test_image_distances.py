"""Distances of piq and FLIP against the libraries themselves, and what they see."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bench.metrics.image_distances import flip, gmsd, haarpsi, ms_ssim, scales_of
from bench.metrics.shipped_images import IMAGE_METRICS

RNG = np.random.default_rng(0)
LARGE = gaussian_filter(RNG.integers(0, 256, (176, 192, 3)).astype(float), (2, 2, 0))
LARGE = (255 * (LARGE - LARGE.min()) / np.ptp(LARGE)).astype(np.uint8)
SMALL = LARGE[:32, :32]
PIXELWISE = {"ms_ssim": ms_ssim, "gmsd": gmsd, "haarpsi": haarpsi, "flip": flip}


@pytest.mark.parametrize("name", PIXELWISE)
@pytest.mark.parametrize("image", [SMALL, LARGE], ids=["small", "large"])
def test_a_worse_image_is_further_away_and_a_copy_is_not(name, image):
    metric = IMAGE_METRICS[name]
    slight = gaussian_filter(image, (0.5, 0.5, 0))
    strong = gaussian_filter(image, (2.5, 2.5, 0))
    same, near, far = (metric(other, image) for other in (image.copy(), slight, strong))
    assert same == pytest.approx(metric.same, abs=1e-4)
    assert metric.low <= min(same, near, far)
    assert max(same, near, far) <= metric.high
    assert (same > near > far) if metric.higher_is_better else (same < near < far)


def test_a_large_image_has_the_value_of_the_library():
    import piq
    import torch

    other = gaussian_filter(LARGE, (1, 1, 0))
    tensors = [torch.from_numpy(np.array(one)).permute(2, 0, 1)[None].float() / 255 for one in (other, LARGE)]
    assert ms_ssim(other, LARGE) == pytest.approx(float(piq.multi_scale_ssim(*tensors)), abs=1e-6)
    assert gmsd(other, LARGE) == pytest.approx(float(piq.gmsd(*tensors)), abs=1e-6)
    assert haarpsi(other, LARGE) == pytest.approx(float(piq.haarpsi(*tensors)), abs=1e-6)


def test_small_images_have_fewer_scales_and_tiny_ones_no_value():
    assert [scales_of(side) for side in (10, 11, 20, 21, 41, 81, 161)] == [0, 1, 1, 2, 3, 4, 5]
    tiny = SMALL[:8, :8]
    assert (ms_ssim(tiny, tiny), gmsd(tiny, tiny), haarpsi(tiny, tiny)) == (None, None, None)


def test_flip_of_black_and_white_is_the_largest_there_is():
    black, white = np.zeros((32, 32, 3), np.uint8), np.full((32, 32, 3), 255, np.uint8)
    assert flip(black, white) > 0.9
    assert flip(white, black) > 0.9
