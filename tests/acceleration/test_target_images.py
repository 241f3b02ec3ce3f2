"""A candidate that claims its target's configuration has to make the target's images."""

from __future__ import annotations

import numpy as np
import pytest

from bench.acceleration.comparison import Mismatch
from bench.acceleration.null_band import NullImages, image_distance
from bench.acceleration.target_images import (
    BAND_FACTOR,
    LEAST_ALLOWED,
    changes_images,
    compare,
    judge_target,
    not_claimed,
)

RNG = np.random.default_rng(0)
TARGET = list(RNG.integers(40, 200, (4, 16, 16, 3), dtype=np.uint8))


def moved(images, levels):
    return [image + np.uint8(levels) for image in images]


def target(levels: int = 0) -> NullImages:
    """Images of a target, two of which were made again so many levels away."""
    return NullImages(TARGET, {("batch",): moved(TARGET[:2], levels)})


def test_the_targets_own_images_are_equal():
    found = compare(TARGET, target())
    assert (found.status, found.distance, found.allowed) == ("equal", 0, LEAST_ALLOWED)
    assert judge_target(found).holds


def test_other_images_are_rejected_with_a_code_of_their_own():
    candidate = [*TARGET[:3], TARGET[3] + np.uint8(5)]  # one of four is enough
    verdict = judge_target(compare(candidate, target()))
    assert (verdict.verdict, verdict.reason_code) == ("fail", "images_differ_from_target")
    assert "5.0 grey levels away (worst of 4 images at seeds that were not known before)" in verdict.reason


def test_the_band_of_the_target_is_allowed():
    levels = 4
    assert compare(moved(TARGET, levels), target()).status == "different"
    within = compare(moved(TARGET, levels), target(levels=2))
    assert (within.status, within.allowed) == ("equal", LEAST_ALLOWED + 2 * BAND_FACTOR)


def test_a_target_that_does_not_repeat_itself_accuses_nobody():
    found = compare(moved(TARGET, 30), NullImages(TARGET, {("batch",): TARGET[2:]}))
    assert found.status == "not_repeated"
    assert "the target's own images of the same prompts and seeds are" in found.note
    assert judge_target(found).holds


def test_images_of_another_size_or_number_are_other_images():
    smaller = [image[:8, :8] for image in TARGET]
    verdict = judge_target(compare(smaller, target()))
    assert (verdict.reason_code, "have another size" in verdict.reason) == ("images_differ_from_target", True)
    assert compare(TARGET[:3], target()).status == "different"


def test_timed_images_count_by_their_mean():
    """What is honest at the secret seeds and not in the timed rounds."""
    honest = [(image, image) for image in TARGET]
    forged = [(image + np.uint8(8), image) for image in TARGET]
    assert compare(TARGET, target(), honest).status == "equal"
    found = compare(TARGET, target(), [*honest, *forged])
    assert (found.status, found.timed_images, found.timed_distance) == ("different", 8, 4.0)
    assert "4.0 grey levels away (mean of 8 images of the timed rounds)" in judge_target(found).reason


def test_videos_are_compared_by_their_frames():
    video = RNG.integers(0, 200, (5, 8, 8, 3), dtype=np.uint8)
    other = video.copy()
    other[1] += np.uint8(10)
    assert image_distance(other, video) == 2
    assert image_distance(video[:4], video) == float("inf")


# Who claims the target's configuration


def free(field: str, *because: str) -> Mismatch:
    return Mismatch(field=field, target=None, candidate={}, because=list(because))


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], []),
        ([free("methods.torch_compile")], []),
        ([free("methods.channels_last"), free("methods.vae_slicing")], []),
        ([free("methods.deepcache")], ["methods.deepcache"]),
        ([free("methods.vae_tiling")], ["methods.vae_tiling"]),
        ([free("methods.attention_backend")], ["methods.attention_backend"]),
        ([free("num_inference_steps")], ["num_inference_steps"]),
        ([free("methods.torch_compile"), free("work.layers_per_call", "methods.torch_compile")], []),
        (
            [free("methods.deepcache"), free("work.layers_per_call", "methods.deepcache")],
            ["methods.deepcache", "work.layers_per_call"],
        ),
        ([free("work.layers_per_call", "methods.torch_compile")], ["work.layers_per_call"]),
    ],
)
def test_what_is_free_and_changes_images_claims_nothing(entries, expected):
    assert changes_images([], entries) == expected


def test_a_mismatch_claims_nothing_either():
    assert changes_images([free("scheduler_class")], []) == ["scheduler_class"]
    found = not_claimed(["methods.deepcache"])
    assert (found.status, judge_target(found).holds) == ("not_claimed", True)
    assert "methods.deepcache" in found.note
    assert judge_target(None).holds
