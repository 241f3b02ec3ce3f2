"""The images or videos in what a pipeline, or a file's own ``generate``, returned."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from bench.core.errors import SourceProblem

# By which names a pipeline returns videos: the modular ones have another than the others.
_VIDEO_NAMES = ("frames", "videos")
# What pipelines return that make something else, in the words of the fields in which it comes.
_OTHERS = {
    "audios": "sound",
    "audio": "sound",
    "texts": "text",
    "prediction": "a prediction for an image",
    "meshes": "meshes",
    "latents": "latents",
}
# Numbers of dimensions: of an image, of a video or a batch of images, of a batch of videos.
_IMAGE, _VIDEO, _VIDEOS = 3, 4, 5


def outputs_of(result: Any) -> list[Any]:
    """Return the images or videos of a result, one per prompt, in whichever of its usual forms it comes.

    Args:
        result: an output object of diffusers with ``images`` or ``frames``, ``videos`` of a modular pipeline, the tuple that
            it returns in its place, such as ``(images, flags)`` or ``(videos, audio)``, or the images or videos themselves:
            a list, or an array or tensor with a leading batch dimension. A video is a list of images, an array [frames,
            height, width, channels], or a tensor, whose channels may stand before the height.

    Raises:
        SourceProblem: what holds neither.
    """
    if inspect.iscoroutine(result):
        result.close()  # Python would warn that nobody awaited it
        raise SourceProblem(
            "returned a coroutine in place of images; expected a function that returns them; run the coroutine in it with "
            "asyncio.run(...)"
        )
    found = _part(result, "images")
    if found is None and (frames := _first(result, _VIDEO_NAMES)) is not None:
        if _dimensions(frames) == _VIDEO:
            return [frames]  # a single video, which came without a batch
        found = frames
    if found is None and not isinstance(result, dict):
        found = result
    if isinstance(found, tuple) and found and _holds_more(found):
        found = found[0]
    if isinstance(found, str | bytes) or not isinstance(found, Iterable):
        other = next((word for name, word in _OTHERS.items() if _part(result, name) is not None), None)
        if other is not None:
            raise SourceProblem(
                f"returned {other} and no images ({type(result).__name__}); expected one image or video per prompt, since "
                "nothing else is judged; give it to no task, or return what can be seen of it from "
                "generate(pipe, prompts, generators)"
            )
        raise SourceProblem(
            f"returned something without images ({type(result).__name__}); expected one image or video per prompt; return "
            "pipe(...).images, pipe(...).frames, or what it returned; where it is the first of several pipelines, define "
            "generate(pipe, prompts, generators)"
        )
    return list(found)


def _first(result: Any, names: Iterable[str]) -> Any:
    return next((part for name in names if (part := _part(result, name)) is not None), None)


def _part(result: Any, name: str) -> Any:
    return result.get(name) if isinstance(result, dict) else getattr(result, name, None)


def _holds_more(result: tuple[Any, ...]) -> bool:
    """Whether the outputs are the first part of a tuple, and not the tuple itself."""
    first, second = _dimensions(result[0]), _dimensions(result[1]) if len(result) > 1 else 0
    if first == _VIDEO:  # or a batch of images
        return second != _VIDEO
    return first == _VIDEOS or isinstance(result[0], list | tuple)


def _dimensions(thing: Any) -> int:
    """Return the number of dimensions of an array, an image, or lists of these; 0 for anything else."""
    import PIL.Image

    if isinstance(thing, PIL.Image.Image):
        return _IMAGE
    if isinstance(thing, list | tuple):
        return 1 + (_dimensions(thing[0]) if thing else 0)
    return len(getattr(thing, "shape", ()))
