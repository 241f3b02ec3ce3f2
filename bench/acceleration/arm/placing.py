"""Placing a pipeline on a device, in the arm's process."""

from __future__ import annotations

import gc
from typing import Any

from bench.core.errors import SourceProblem


def move(pipe: Any, device: str) -> None:
    """Put a pipeline on a device."""
    # Offloading hooks place the parts themselves, and .to() would undo that.
    offloaded = any(hasattr(part, "_hf_hook") for part in pipe.components.values())
    if pipe.device.type != device and not offloaded:
        pipe.to(device)


def leave_or_return(pipe: Any, device: str) -> None:
    """Take a pipeline off its GPU for a while, or put it back there, and give back what torch kept for it.

    Raises:
        SourceProblem: a pipeline that cannot be moved.
    """
    import torch

    try:
        move(pipe, device)
    except Exception as error:
        raise SourceProblem(
            f"cannot be moved to {device} while the other arm has the GPU, where both do not fit together ({error}); "
            "expected a pipeline that can, or a GPU with more memory; use a larger one"
        ) from error
    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
