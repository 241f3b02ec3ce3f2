"""Images on the way from an arm to the evaluator: anything a pipeline returns, as plain 8-bit RGB.

Packing runs in the arm, which is not trusted; unpacking runs in the evaluator and checks every length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

MAX_SIDE = 16384


def pack(images: Any) -> tuple[dict, bytes]:
    """Return ``({"shapes": [[height, width], ...], "not_finite": [index, ...]}, pixel bytes)``.

    Args:
        images: PIL images, or arrays or tensors of floats in [0, 1] or of 8-bit integers, as a list or
            with a leading batch dimension.

    Raises:
        TypeError: when an element is no image.
    """
    shapes, chunks, not_finite = [], [], []
    for index, image in enumerate(images):
        pixels, finite = _to_rgb(image)
        if not finite:
            not_finite.append(index)
        shapes.append([pixels.shape[0], pixels.shape[1]])
        chunks.append(pixels.tobytes())
    return {"shapes": shapes, "not_finite": not_finite}, b"".join(chunks)


def unpack(shapes: Sequence[Sequence[int]], payload: bytes) -> list[np.ndarray]:
    """Return the images as uint8 arrays of shape [height, width, 3].

    Raises:
        ValueError: when the shapes and the number of bytes do not fit each other.
    """
    import numpy as np  # noqa: PLC0415

    images, offset = [], 0
    for shape in shapes:
        height, width = (int(side) for side in shape)
        if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
            raise ValueError(f"an image of {height} x {width} pixels was announced")
        size = height * width * 3
        pixels = np.frombuffer(payload, dtype=np.uint8, count=size, offset=offset)
        images.append(pixels.reshape(height, width, 3))
        offset += size
    if offset != len(payload):
        raise ValueError(f"{len(payload)} bytes of pixels arrived, {offset} were announced")
    return images


def _to_rgb(image: Any) -> tuple[np.ndarray, bool]:
    import numpy as np  # noqa: PLC0415
    import PIL.Image  # noqa: PLC0415

    if isinstance(image, PIL.Image.Image):
        return np.asarray(image.convert("RGB"), dtype=np.uint8), True
    if hasattr(image, "detach"):
        image = image.detach().float().cpu().numpy()
        if image.ndim == 3 and image.shape[0] in (1, 3):
            image = image.transpose(1, 2, 0)
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] not in (1, 3):
        raise TypeError(
            f"the pipeline returned a {type(image).__name__} where an image was expected; "
            "return PIL images, or arrays [height, width, 3] of floats in [0, 1]"
        )
    finite = bool(np.isfinite(image).all())
    if np.issubdtype(image.dtype, np.floating):
        image = (np.nan_to_num(image).clip(0, 1) * 255).round()
    return np.ascontiguousarray(np.broadcast_to(image.astype(np.uint8), (*image.shape[:2], 3))), finite
