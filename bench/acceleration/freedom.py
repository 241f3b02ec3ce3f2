"""What a task leaves free: differences from the target that are listed and decide nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from bench.acceleration.comparison import Mismatch
from bench.acceleration.methods import METHODS
from bench.core.names import quoted

# What a word frees: the fields that begin so. The order is that of messages.
_WORDS: dict[str, tuple[str, ...]] = {
    "methods": ("methods",),
    "added_methods": (),  # those that the target has not; see _is_added
    "steps": ("num_inference_steps", "scheduler_steps"),
    "scheduler": ("scheduler_class", "scheduler", "scheduler_steps"),
    "guidance": (
        "arguments.guidance_scale", "arguments.guidance_rescale", "arguments.true_cfg_scale", "arguments.negative_prompt",
        "work.denoiser_calls_per_image", "guider",
    ),
    "size": ("arguments.height", "arguments.width", "output.height", "output.width"),
    "frames": ("arguments.num_frames", "arguments.video_length", "arguments.frames", "output.frames"),
    "arguments": ("arguments",),
    "work": ("work", "layers"),
    "weights": (),  # of every part; see _is_freed
    "pipeline_class": ("pipeline_class",),
}  # fmt: skip
_ADDED, _WEIGHTS = "added_methods", "weights"
# A setting, an argument or a method by its own name, or a part of the pipeline.
_ONE = re.compile(r"(arguments|scheduler|methods)\.[A-Za-z_]\w*")
_PART = re.compile(
    r"(unet|transformer|vae|vqvae|movq|text_encoder|tokenizer|image_encoder|feature_extractor|safety_checker|controlnet|"
    r"adapter|motion_adapter|prior|decoder|vocoder|unet_motion|guider)(_\d+)?"
)
OF_LEVEL: dict[str | None, tuple[str, ...]] = {
    "L1": (), "L2": (), "L3": (), "L4": ("methods",), "L5": ("methods",), None: (_ADDED,),
}  # fmt: skip
"""What is free at a level. A task without one asks for what its target has, and says nothing against more."""


def require_free_name(name: object) -> str:
    """Return a name of what a task may free.

    Raises:
        ValueError: what was expected.
    """
    if isinstance(name, str) and (name in _WORDS or _PART.fullmatch(name)):
        return name
    if isinstance(name, str) and _ONE.fullmatch(name):
        kind, _, rest = name.partition(".")
        if kind != "methods" or rest in METHODS or rest == "patched_forward":
            return name
    raise ValueError(
        f"expected names from {', '.join(_WORDS)}, of a part such as unet or vae, or of one setting, such as "
        f"arguments.eta, scheduler.timestep_spacing or methods.deepcache; found {quoted(name)}; correct it"
    )


def split(
    differences: Sequence[Mismatch], free: Iterable[str], required: Iterable[str] = ()
) -> tuple[list[Mismatch], list[Mismatch]]:
    """Return the differences that count, and those that are free.

    Args:
        differences: between a target and a candidate.
        free: names of what the task frees, its level's included.
        required: methods that the task asks for, which the target need not have.
    """
    names, wanted = frozenset(free), {f"methods.{name}" for name in required}
    counting: list[Mismatch] = []
    freed: list[Mismatch] = []
    for difference in differences:
        is_free = _is_freed(difference, names) or (difference.field in wanted and _is_added(difference))
        (freed if is_free else counting).append(difference)
    # Work that differs because of a method is as free as the method.
    kept = {entry.field for entry in counting}
    for difference in [entry for entry in counting if entry.because and not {*entry.because} & kept]:
        counting.remove(difference)
        freed.append(difference)
    return counting, freed


def _is_freed(difference: Mismatch, names: frozenset[str]) -> bool:
    if _ADDED in names and _is_added(difference):
        return True
    if _WEIGHTS in names and difference.field.endswith(".weights"):
        return True
    prefixes = [prefix for name in names for prefix in _WORDS.get(name, (name,))]
    return any(difference.field == prefix or difference.field.startswith(f"{prefix}.") for prefix in prefixes)


def _is_added(difference: Mismatch) -> bool:
    return difference.field.startswith("methods.") and difference.target is None
