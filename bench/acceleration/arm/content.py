"""Arguments of a call as plain values that are equal for equal content: tensors, arrays and images too."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from typing import Any

from bench.acceleration.protocol.messages import json_value
from bench.core.record import Json

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def described(value: Any) -> Any:
    """Return an argument as something JSON can hold and that is equal for equal values: a tensor or image by its content."""
    if is_image(value):
        return image_content(value)
    if hasattr(value, "detach") or is_array(value):
        import torch

        tensor = torch.as_tensor(value).detach().to("cpu", torch.float64)
        return {
            "shape": list(tensor.shape),
            "sum": round(float(tensor.sum()), 6),
            "norm": round(float(tensor.norm()), 6),
        }
    if isinstance(value, list | tuple):
        items = [described(item) for item in value]
        # A negative prompt, and an image of the file's own, may stand once for each prompt of the batch.
        is_one = (
            items
            and (isinstance(items[0], str) or is_image(value[0]))
            and items.count(items[0]) == len(items)
        )
        return items[0] if is_one else items
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # Such as the conditions of LTX, each an image with its frame.
        fields = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
        return {"class": type(value).__name__, **{name: described(item) for name, item in fields.items()}}
    if isinstance(value, dict):
        return {str(key): described(item) for key, item in value.items()}
    plain = json_value(value)
    # The text of an object may tell where it is in memory.
    return f"a {type(value).__name__}" if isinstance(plain, str) and not isinstance(value, str) else plain


def readable(value: Any) -> Any:
    """Return an argument as a reader sees it: objects by their text, but images by their content."""
    return json_value(value, lambda other: image_content(other) if is_image(other) else _text(other))


def _text(value: Any) -> str:
    """Return the text of an object without its place in memory, which is another one in each process."""
    return _ADDRESS.sub("", str(value))


def is_image(value: Any) -> bool:
    """Whether a value is a PIL image."""
    import PIL.Image

    return isinstance(value, PIL.Image.Image)


def image_content(image: Any) -> Json:
    """Return what a PIL image holds: its size, its mode and a hash of its pixels."""
    digest = hashlib.sha256(image.tobytes())
    if image.mode in ("P", "PA"):
        digest.update(bytes(image.getpalette("RGB") or ()))
    return {"size": list(image.size), "mode": image.mode, "sha256": digest.hexdigest()[:16]}


def is_array(value: Any) -> bool:
    """Whether a value is an array of numbers or truth values."""
    import numpy as np

    return isinstance(value, np.ndarray) and value.dtype.kind in "biuf"
