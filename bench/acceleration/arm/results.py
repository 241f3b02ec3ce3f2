"""The images in what a pipeline, or a file's own ``generate``, returned."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from bench.core.errors import SourceProblem


def images_of(result: Any) -> list[Any]:
    """Return the images of a result, in whichever of its usual forms it comes.

    Args:
        result: an output object of diffusers, the tuple ``(images, flags)`` that it returns in its place, a list of images,
            or an array or tensor with a leading batch dimension.

    Raises:
        SourceProblem: what holds no images.
    """
    if inspect.iscoroutine(result):
        result.close()  # Python would warn that nobody awaited it
        raise SourceProblem(
            "returned a coroutine in place of images; expected a function that returns them; run the coroutine in it with "
            "asyncio.run(...)"
        )
    images = result.get("images") if isinstance(result, dict) else getattr(result, "images", result)
    if isinstance(images, tuple) and images and _is_batch(images[0]):
        images = images[0]
    if isinstance(images, str | bytes) or not isinstance(images, Iterable):
        raise SourceProblem(
            f"returned something without images ({type(result).__name__}); expected one image per prompt; return "
            "pipe(...).images, or what it returned; where it is the first of several pipelines, define "
            "generate(pipe, prompts, generators)"
        )
    return list(images)


def _is_batch(thing: Any) -> bool:
    return isinstance(thing, list | tuple) or len(getattr(thing, "shape", ())) == 4
