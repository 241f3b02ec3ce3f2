"""What stands, while a file is looked at, for the output of a pipeline that is not run; and finding it in another call."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

from bench.acceleration.arm.content import is_image
from bench.acceleration.arm.recorder import RecordedCall

_SIZE = 64
_MARK = "modelgate_made_by"


def blank_output(call: RecordedCall, maker: str) -> Any:
    """Return what stands for the output of a call that was not run: as many black images as were asked for.

    Args:
        call: the call.
        maker: says which one, to be found again by :func:`maker_of`.
    """
    from PIL import Image

    prompt = call.given.get("prompt", "")
    count = len(prompt) if isinstance(prompt, list | tuple) else 1
    count *= call.given.get("num_images_per_prompt") or 1
    width, height = (call.given.get(name) or _SIZE for name in ("width", "height"))
    images: Any = [Image.new("RGB", (int(width), int(height))) for _ in range(count)]
    for image in images:
        image.info[_MARK] = maker  # an image that is resized, cropped or converted has it too
    videos: Any = [images]
    if call.given.get("output_type") == "latent":
        images = videos = Unmade(maker)
    if call.given.get("return_dict") is False:
        return (images, None)
    return _Output(maker, images=images, frames=videos, nsfw_content_detected=None)


def maker_of(value: Any) -> str | None:
    """Return which call should have made a value, or something in it; None where it is no blank."""
    if isinstance(value, Unmade | _Output):
        return value.maker
    if is_image(value):
        found = value.info.get(_MARK)
        return found if isinstance(found, str) else None
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return next((maker for item in items if (maker := maker_of(item)) is not None), None)


class Unmade:
    """Stands for embeddings or latents of a call that was not run, and for what is made of them.

    Args:
        maker: the call.
    """

    def __init__(self, maker: str) -> None:
        self.maker = maker

    def __getattr__(self, name: str) -> Unmade:
        """Return itself, so that what is made of it is known again."""
        if name.startswith("__"):  # Python looks for what an object can do, and copies by it
            raise AttributeError(name)
        return self

    def __call__(self, *_: Any, **__: Any) -> Unmade:
        """Return itself."""
        return self

    __getitem__ = __add__ = __sub__ = __mul__ = __rmul__ = __truediv__ = __neg__ = __call__

    def __iter__(self) -> Iterator[Unmade]:
        """Yield itself twice: embeddings come with those of the negative prompt, or pooled ones."""
        return iter((self, self))


class _Output(types.SimpleNamespace):
    """The output of a pipeline, by name and by position."""

    def __init__(self, maker: str, **fields: Any) -> None:
        super().__init__(**fields)
        self.maker = maker

    def __getitem__(self, index: Any) -> Any:
        fields = {name: value for name, value in vars(self).items() if name != "maker"}
        return fields[index] if isinstance(index, str) else list(fields.values())[index]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Unmade(self.maker)
