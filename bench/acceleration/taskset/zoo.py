"""The models that ship, with settings under which they still draw what the prompt says."""

from __future__ import annotations

from pathlib import Path

from bench.acceleration.taskset.models import (
    CACHE_DIT,
    CLASS_TO_IMAGE,
    DDIM,
    DEEPCACHE,
    DPM,
    FIRST_BLOCK,
    IMAGE_TO_IMAGE,
    PRECISION,
    TAYLORSEER,
    TEXT_TO_IMAGE,
    TEXT_TO_VIDEO,
    TGATE,
    TOME,
    UNIPC,
    Model,
    Setting,
)

NAMES = ("tiny-sd", "tiny-sd-small", "tiny-flux", "tiny-pixart", "tiny-dit", "tiny-motion")
_CLASSES = "datasets/shapes_classes.jsonl"  # next to the folder of the models
_STEPS: dict[str | None, tuple[int, ...]] = {
    None: (50, 45, 40, 35, 30, 25, 20), DPM: (30, 28, 25, 22, 20), UNIPC: (30, 28, 25, 22, 20),
}  # fmt: skip
_PIPELINES = {TEXT_TO_IMAGE: "StableDiffusionPipeline", IMAGE_TO_IMAGE: "StableDiffusionImg2ImgPipeline"}
_FACTORS: dict[tuple[str, Setting], float] = {
    (DEEPCACHE, 2): 1.4, (DEEPCACHE, 3): 1.8, (TOME, 0.3): 1.0, (TOME, 0.4): 1.0, (TGATE, 0.85): 1.0,
}  # fmt: skip
_FLUX_FACTORS: dict[tuple[str, Setting], float] = {
    (FIRST_BLOCK, 0.15): 1.3, (FIRST_BLOCK, 0.3): 1.75, (FIRST_BLOCK, 0.5): 2.1,
    (CACHE_DIT, 0.2): 1.3, (CACHE_DIT, 0.4): 1.5,
}  # fmt: skip
_PROMPTS = (
    "a small red star on the left of a blue background",
    "a large green circle on a white background",
)


def zoo_models(folder: Path) -> tuple[Model, ...]:
    """Return the models that ship, from the folder that holds them.

    Much of what tiny-sd-small draws is not what the prompt says, so that little can be said of a loss of quality. It is only
    asked for what leaves its images nearly as they are.
    """
    tiny, small, flux, pixart, dit, motion = (str(folder / name) for name in NAMES)
    return (
        Model(
            "tiny_sd", "tiny-sd", _PIPELINES, {32: tiny}, small, DDIM, _STEPS, (7.5, 6.0, 5.0),
            {DEEPCACHE: (2, 3), TOME: (0.3, 0.4), TGATE: (0.85,), PRECISION: ("bfloat16",)},
            _FACTORS, 1.5, tgate_loader="TgateSDLoader", tgate_intervals=1,
            scheduler_options={UNIPC: "solver_order=1"}, least_computed=14, prompts=_PROMPTS, device=False,
        ),
        Model(
            "tiny_sd_small", "tiny-sd-small", _PIPELINES, {32: small}, tiny, DDIM, {None: _STEPS[None]},
            (7.5, 6.0, 9.0), {PRECISION: ("bfloat16",)}, {}, 1.0, prompts=_PROMPTS, device=False,
        ),
        Model(
            "tiny_flux", "tiny-flux", {TEXT_TO_IMAGE: "FluxPipeline"}, {32: flux}, None,
            "FlowMatchEulerDiscreteScheduler", {None: (30, 28, 25, 22, 20, 18, 16)}, (3.5,),
            {
                FIRST_BLOCK: (0.15, 0.3, 0.5), TAYLORSEER: (3, 4), CACHE_DIT: (0.2, 0.4), PRECISION: ("bfloat16",),
            },
            _FLUX_FACTORS, 1.0, prompts=_PROMPTS, device=False, other_schedulers=("FlowMatchLCMScheduler",),
            call=("max_sequence_length=16",),
        ),
        Model(
            "tiny_pixart", "tiny-pixart", {TEXT_TO_IMAGE: "PixArtAlphaPipeline"}, {32: pixart}, None, DPM,
            {None: (30, 25, 20), DDIM: (30, 25, 20), UNIPC: (16, 14)}, (4.5, 3.5, 6.0),
            {TGATE: (0.9,), CACHE_DIT: (0.05, 0.1), PRECISION: ("bfloat16",)}, {}, 1.5,
            tgate_loader="TgatePixArtAlphaLoader", tgate_intervals=1,
            scheduler_options={UNIPC: "solver_order=1"}, prompts=_PROMPTS, device=False,
            call=("use_resolution_binning=False", "clean_caption=False"),
        ),
        Model(
            "tiny_dit", "tiny-dit", {CLASS_TO_IMAGE: "DiTPipeline"}, {32: dit}, None, DDIM,
            {None: (40, 35, 30), DPM: (15, 12), UNIPC: (20, 18)}, (4.0, 3.0),
            {CACHE_DIT: (0.1, 0.2), PRECISION: ("bfloat16",)}, {}, 1.0, device=False,
            classes="classes", label=2, prompts_file=str(folder.parent / _CLASSES),
        ),
        Model(
            "tiny_motion", "AnimateDiff on tiny-sd", {TEXT_TO_VIDEO: "AnimateDiffPipeline"}, {32: tiny}, None, DDIM,
            {None: (20, 18, 16, 14), UNIPC: (18, 16)}, (7.5, 6.0), {PRECISION: ("bfloat16",)}, {}, 8.0,
            scheduler_options={UNIPC: "solver_order=1"}, prompts=_PROMPTS, device=False, adapter=motion, frames=4,
        ),
    )  # fmt: skip
