"""Images are found in every form in which a pipeline, or a file's own generate, returns them."""

import types
import warnings

import numpy as np
import PIL.Image
import pytest

from bench.acceleration.arm.results import images_of
from bench.core.errors import SourceProblem

ONE, OTHER = PIL.Image.new("RGB", (2, 2)), PIL.Image.new("RGB", (2, 2), "red")
PIXELS = np.arange(24.0).reshape(2, 2, 2, 3)


@pytest.mark.parametrize(
    "result",
    [[ONE, OTHER], (ONE, OTHER), types.SimpleNamespace(images=[ONE, OTHER]), ([ONE, OTHER], [False, True]),
     ([ONE, OTHER], None), iter([ONE, OTHER])],
)  # fmt: skip
def test_images_are_found(result):
    assert images_of(result) == [ONE, OTHER]


@pytest.mark.parametrize(
    "result", [PIXELS, (PIXELS, None), (PIXELS[0], PIXELS[1]), types.SimpleNamespace(images=PIXELS)]
)
def test_arrays_are_taken_apart(result):
    np.testing.assert_array_equal(np.stack(images_of(result)), PIXELS)


@pytest.mark.parametrize("result", [None, "image.png", b"png", 3])
def test_what_holds_no_images_is_refused(result):
    with pytest.raises(
        SourceProblem, match=rf"without images \({type(result).__name__}\); expected .*; return"
    ):
        images_of(result)


def test_a_coroutine_is_refused_with_what_to_do():
    async def generate():
        return [ONE]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(SourceProblem, match=r"returned a coroutine.*asyncio\.run"):
            images_of(generate())
