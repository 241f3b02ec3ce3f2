"""Images and videos on the way between an arm and the evaluator: anything a pipeline returns, as plain 8-bit RGB.

What a pipeline returns is packed in the arm, which is not trusted; unpacking in the evaluator checks every length.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from bench.core.errors import SourceProblem
from bench.core.record import Json

if TYPE_CHECKING:
    import numpy as np

MAX_SIDE = 16384
_EXPECTED = "return PIL images, or arrays [height, width, 3] of floats in [0, 1] or of 8-bit integers; decode latents first"


def pack(outputs: Any) -> tuple[Json, bytes]:
    """Return ``({"shapes": [[height, width], ...], "not_finite": [index, ...]}, pixel bytes)``.

    The shape of a video is ``[frames, height, width]``.

    Args:
        outputs: images or videos, as a list or with a leading batch dimension. An image is one of PIL, or an array or
            tensor of floats in [0, 1] or of 8-bit integers. A video is a list of images, or an array or tensor of them.

    Raises:
        SourceProblem: when an element is neither.
    """
    shapes, chunks, not_finite = [], [], []
    for index, output in enumerate(outputs):
        pixels, finite = _video(output) if _is_video(output) else _to_rgb(output)
        if not finite:
            not_finite.append(index)
        shapes.append(list(pixels.shape[:-1]))
        chunks.append(pixels.tobytes())
    return {"shapes": shapes, "not_finite": not_finite}, b"".join(chunks)


def unpack(shapes: object, payload: bytes) -> list[np.ndarray]:
    """Return uint8 arrays: images of shape [height, width, 3], and videos of shape [frames, height, width, 3].

    Raises:
        ValueError: when the shapes and the number of bytes do not fit each other.
    """
    import numpy as np  # noqa: PLC0415

    if not isinstance(shapes, list | tuple):
        raise ValueError(f"{str(shapes)[:100]} was announced, not a list of sizes")
    outputs, offset = [], 0
    for shape in shapes:
        if not _is_size(shape):
            raise ValueError(
                f"an image of {str(shape)[:100]} pixels was announced, not of [height, width] or [frames, height, width]"
            )
        size = math.prod(shape) * 3
        pixels = np.frombuffer(payload, dtype=np.uint8, count=size, offset=offset)
        outputs.append(pixels.reshape(*shape, 3))
        offset += size
    if offset != len(payload):
        raise ValueError(f"{len(payload)} bytes of pixels arrived, {offset} were announced")
    return outputs


def _is_size(shape: Any) -> bool:
    # Untrusted JSON: text, fractions and Infinity can stand where a number of pixels should.
    return (
        isinstance(shape, list | tuple)
        and len(shape) in (2, 3)
        and all(type(side) is int and 0 < side <= MAX_SIDE for side in shape)
    )


def _is_video(output: Any) -> bool:
    return isinstance(output, list | tuple) or len(getattr(output, "shape", ())) == 4


def _video(frames: Any) -> tuple[np.ndarray, bool]:
    import numpy as np  # noqa: PLC0415

    made = [_to_rgb(frame) for frame in frames]
    sizes = sorted({f"{frame.shape[1]} x {frame.shape[0]}" for frame, _ in made})
    if len(sizes) != 1:
        found = f"frames of {' and '.join(sizes[:2])} pixels" if sizes else "no frames"
        raise SourceProblem(
            f"returned a video with {found}; expected frames of one size; return one list or array of them for each prompt"
        )
    return np.stack([frame for frame, _ in made]), all(finite for _, finite in made)


def _to_rgb(image: Any) -> tuple[np.ndarray, bool]:
    import numpy as np  # noqa: PLC0415
    import PIL.Image  # noqa: PLC0415

    if isinstance(image, PIL.Image.Image):
        return np.asarray(image.convert("RGB"), dtype=np.uint8), True
    if hasattr(image, "detach"):
        image = image.detach()
        # NumPy has no bfloat16; integers stay as they are.
        image = (image.float() if image.is_floating_point() else image).cpu().numpy()
        if image.ndim == 3 and image.shape[0] in (1, 3):
            image = image.transpose(1, 2, 0)
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] not in (1, 3):
        raise SourceProblem(f"returned {_named(image)} where an image was expected; {_EXPECTED}")
    finite = bool(np.isfinite(image).all())
    if np.issubdtype(image.dtype, np.floating):
        image = (np.nan_to_num(image).clip(0, 1) * 255).round()
    elif image.dtype != np.uint8:
        raise SourceProblem(f"returned an array of {image.dtype} where an image was expected; {_EXPECTED}")
    return np.ascontiguousarray(np.broadcast_to(image.astype(np.uint8), (*image.shape[:2], 3))), finite


def _named(thing: Any) -> str:
    shape = f" of shape {list(thing.shape)}" if hasattr(thing, "shape") else ""
    name = type(thing).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}{shape}"
