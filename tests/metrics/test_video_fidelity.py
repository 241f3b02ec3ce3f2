"""Which frames of a video are scored, how its motion is compared, and videos that do not move."""

import numpy as np
import pytest

from bench.metrics.image_fidelity import constant_images, duplicate_images, frames_of
from bench.metrics.video_fidelity import SCORED_FRAMES, frozen_videos, scored_frames, temporal_difference


def counting(frames):
    """A video whose frames have the colours 0, 1, 2, ..."""
    return np.broadcast_to(np.arange(frames, dtype=np.uint8)[:, None, None, None], (frames, 2, 3, 3))


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (1, [0]),
        (2, [0, 1]),
        (3, [0, 1, 2]),
        (4, [0, 1, 2, 3]),
        (5, [0, 1, 3, 4]),
        (16, [0, 5, 10, 15]),
        (81, [0, 27, 53, 80]),
    ],
)
def test_scored_frames_are_evenly_spaced_with_the_first_and_the_last(frames, expected):
    assert [int(frame[0, 0, 0]) for frame in scored_frames(counting(frames))] == expected
    gaps = np.diff(expected)
    assert len(expected) == min(frames, SCORED_FRAMES)
    assert gaps.size == 0 or gaps.max() - gaps.min() <= 1


def test_an_image_is_its_only_frame():
    image = counting(5)[3]
    (frame,) = scored_frames(image)
    np.testing.assert_array_equal(frame, image)
    assert frames_of(image).shape == (1, 2, 3, 3)
    assert frames_of(counting(5)).shape == (5, 2, 3, 3)


# By hand: the steps of the video are +50 and -30, those of the reference +10 and +10, so they differ by 40 and by 40; in the
# second pixel 0 and 0 against 0 and 20.
VIDEO = np.array([[[[10], [7]]], [[[60], [7]]], [[[30], [7]]]], dtype=np.uint8).repeat(3, axis=3)
REFERENCE = np.array([[[[100], [200]]], [[[110], [200]]], [[[120], [220]]]], dtype=np.uint8).repeat(3, axis=3)


def test_temporal_difference_is_what_it_is_by_hand():
    assert temporal_difference(VIDEO, REFERENCE) == pytest.approx((40 + 40 + 0 + 20) / 4)
    assert temporal_difference(REFERENCE, VIDEO) == temporal_difference(VIDEO, REFERENCE)


def test_temporal_difference_is_the_mean_over_pixels_channels_and_steps():
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 256, (2, 5, 4, 3, 3), dtype=np.uint8)
    plain = np.abs(np.diff(one.astype(int), axis=0) - np.diff(other.astype(int), axis=0)).mean()
    assert temporal_difference(one, other) == pytest.approx(plain)


def test_temporal_difference_reaches_its_greatest_value():
    flashing = np.zeros((3, 2, 2, 3), dtype=np.uint8)
    flashing[1] = 255
    assert temporal_difference(flashing, 255 - flashing) == 510


def test_what_is_wrong_alike_in_every_frame_is_no_temporal_difference():
    assert temporal_difference(VIDEO, VIDEO + np.uint8(50)) == temporal_difference(VIDEO, VIDEO) == 0


@pytest.mark.parametrize(
    ("video", "reference"),
    [
        (VIDEO[0], VIDEO[0]),
        (VIDEO[:1], VIDEO[:1]),
        (VIDEO, VIDEO[:2]),
        (VIDEO, VIDEO[:, :, :1]),
        (VIDEO, VIDEO[0]),
    ],
)
def test_images_single_frames_and_other_sizes_have_no_temporal_difference(video, reference):
    assert temporal_difference(video, reference) is None


def test_frozen_flat_and_repeated_videos_are_found():
    moving = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
    nearly = moving[[0, 0, 0]]
    nearly[2, 0, 0, 0] ^= 1
    fading = np.broadcast_to(np.array([0, 100, 200], np.uint8)[:, None, None, None], (3, 4, 4, 3))
    half = moving.copy()
    half[:2] = 7
    outputs = [moving, moving[[0, 0, 0]], nearly, moving[:1], fading, half, moving.copy(), moving[0]]
    assert frozen_videos(outputs) == [1]
    assert constant_images(outputs) == [4]
    assert duplicate_images(outputs) == [(0, 6)]
