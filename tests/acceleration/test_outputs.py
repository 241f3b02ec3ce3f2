"""Images and videos are found in every form in which a pipeline, or a file's own generate, returns them."""

import types
import warnings

import numpy as np
import PIL.Image
import pytest

from bench.acceleration.arm.results import outputs_of
from bench.core.errors import SourceProblem

ONE, OTHER = PIL.Image.new("RGB", (2, 2)), PIL.Image.new("RGB", (2, 2), "red")
PIXELS = np.arange(24.0).reshape(2, 2, 2, 3)


@pytest.mark.parametrize(
    "result",
    [[ONE, OTHER], (ONE, OTHER), types.SimpleNamespace(images=[ONE, OTHER]), ([ONE, OTHER], [False, True]),
     ([ONE, OTHER], None), iter([ONE, OTHER])],
)  # fmt: skip
def test_images_are_found(result):
    assert outputs_of(result) == [ONE, OTHER]


@pytest.mark.parametrize(
    "result", [PIXELS, (PIXELS, None), (PIXELS[0], PIXELS[1]), types.SimpleNamespace(images=PIXELS)]
)
def test_arrays_are_taken_apart(result):
    np.testing.assert_array_equal(np.stack(outputs_of(result)), PIXELS)


CLIPS = [[ONE, OTHER], [OTHER, ONE]]
VIDEOS = np.arange(48.0).reshape(2, 2, 2, 2, 3)
AUDIO = np.zeros((2, 2, 100))


def held(frames):
    """An output object that has frames and no images."""
    return types.SimpleNamespace(frames=frames)


@pytest.mark.parametrize(
    "result",
    [held(CLIPS), held(tuple(CLIPS)), CLIPS, tuple(CLIPS), (CLIPS,), (CLIPS, AUDIO), iter(CLIPS),
     types.SimpleNamespace(frames=CLIPS, audio=AUDIO), types.SimpleNamespace(images=None, frames=CLIPS)],
)  # fmt: skip
def test_videos_are_found_as_lists_of_images(result):
    assert outputs_of(result) == CLIPS


@pytest.mark.parametrize(
    "result",
    [held(VIDEOS), held(list(VIDEOS)), VIDEOS, list(VIDEOS), tuple(VIDEOS), (VIDEOS,), (VIDEOS, AUDIO)],
)
def test_videos_are_found_in_arrays(result):
    np.testing.assert_array_equal(np.stack(outputs_of(result)), VIDEOS)


def test_videos_are_found_in_tensors():
    import torch

    tensor = torch.from_numpy(VIDEOS).permute(0, 1, 4, 2, 3)
    for result in (held(tensor), (tensor, torch.from_numpy(AUDIO)), tensor, held(list(tensor))):
        found = outputs_of(result)
        assert [tuple(video.shape) for video in found] == [(2, 3, 2, 2)] * 2
        np.testing.assert_array_equal(np.stack(found), tensor.numpy())


@pytest.mark.parametrize("video", [CLIPS[0], VIDEOS[0]])
def test_frames_without_a_batch_are_one_video(video):
    (found,) = outputs_of(held(video))
    assert found is video


@pytest.mark.parametrize("result", [None, "image.png", b"png", 3])
def test_what_holds_no_images_is_refused(result):
    with pytest.raises(
        SourceProblem, match=rf"without images \({type(result).__name__}\); expected .*; return"
    ):
        outputs_of(result)


def test_a_coroutine_is_refused_with_what_to_do():
    async def generate():
        return [ONE]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(SourceProblem, match=r"returned a coroutine.*asyncio\.run"):
            outputs_of(generate())
