"""Inputs of samples on the way from the evaluator to an arm: images as plain pixels, labels as numbers.

The evaluator opens the files, before its clock starts. An arm needs no sight of them, and both arms get the same pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bench.acceleration.inputs import CLASS_LABEL, IMAGES, Inputs
from bench.acceleration.protocol.pixels import pack, unpack
from bench.core.record import Json

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image

MODES = {"image": "RGB", "mask_image": "L", "control_image": "RGB"}
# Timed rounds ask for the same images again and again.
_KEPT = 256


def pack_inputs(samples: Sequence[Inputs]) -> tuple[Json, bytes]:
    """Return ``({"image": [[height, width], ...], ..., "class_label": [...]}, pixel bytes)``; nothing for nothing.

    Args:
        samples: the inputs of each; all of them have the same ones.
    """
    header: Json = {}
    chunks = []
    for name in IMAGES:
        paths = [path for sample in samples if (path := sample.images().get(name)) is not None]
        if paths:
            shapes, pixels = pack([_pixels(path, MODES[name]) for path in paths])
            header[name] = shapes["shapes"]
            chunks.append(pixels)
    labels = [sample.class_label for sample in samples if sample.class_label is not None]
    if labels:
        header[CLASS_LABEL] = labels
    return header, b"".join(chunks)


def unpack_inputs(header: Json, payload: bytes, count: int) -> list[dict[str, Any]]:
    """Return the inputs of each of so many samples by name: PIL images (masks in mode L), and whole numbers."""
    import PIL.Image  # noqa: PLC0415

    found: list[dict[str, Any]] = [{} for _ in range(count)]
    offset = 0
    for name in (name for name in IMAGES if name in header):
        size = sum(height * width * 3 for height, width in header[name])
        arrays = unpack(header[name], payload[offset : offset + size])
        offset += size
        for sample, array in zip(found, arrays, strict=True):
            sample[name] = PIL.Image.fromarray(array).convert(MODES[name])
    if CLASS_LABEL in header:
        for sample, label in zip(found, header[CLASS_LABEL], strict=True):
            sample[CLASS_LABEL] = label
    return found


def upright(image: PIL.Image.Image, mode: str) -> PIL.Image.Image:
    """Return an opened image in a mode, turned as its camera says, as ``diffusers.utils.load_image`` does."""
    import PIL.ImageOps  # noqa: PLC0415

    return PIL.ImageOps.exif_transpose(image).convert(mode)


@lru_cache(maxsize=_KEPT)
def _pixels(path: str, mode: str) -> np.ndarray:
    import numpy as np  # noqa: PLC0415
    import PIL.Image  # noqa: PLC0415

    with PIL.Image.open(path) as image:
        array = np.asarray(upright(image, mode))
    return array if array.ndim == 3 else array[:, :, None]
