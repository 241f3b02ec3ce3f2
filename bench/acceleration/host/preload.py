"""The slow imports that the fork server makes once for all arms."""

from __future__ import annotations

from contextlib import suppress


def preload() -> None:
    """Import what arms need; heavy on purpose, and without starting a thread pool.

    open_clip is left to the scorers, which import it while the first arms load.
    """
    from bench.machine.torchvision_shim import ensure_torchvision  # noqa: PLC0415

    ensure_torchvision()
    import diffusers  # noqa: PLC0415
    import numpy  # noqa: F401, PLC0415
    import PIL.Image  # noqa: F401, PLC0415
    import transformers  # noqa: F401, PLC0415
    from transformers import CLIPTextModel, CLIPTokenizer  # noqa: F401, PLC0415

    # transformers makes this table of patterns when it loads its first model, which is once for each arm.
    with suppress(ImportError):  # of a version that has none
        from transformers.conversion_mapping import get_checkpoint_conversion_mapping  # noqa: PLC0415

        get_checkpoint_conversion_mapping("clip_text_model")  # type: ignore[no-untyped-call]  # as transformers has it
    # diffusers imports lazily; naming a class imports its module.
    for name in (
        "AutoencoderKL",
        "StableDiffusionPipeline",
        "UNet2DConditionModel",
        "DDIMScheduler",
        "DPMSolverMultistepScheduler",
        "ModularPipeline",
        "PNDMScheduler",
        "UniPCMultistepScheduler",
    ):
        getattr(diffusers, name)
    # The first pipeline that is loaded asks for these, which would be once for each arm.
    from diffusers.schedulers.scheduling_utils import KarrasDiffusionSchedulers  # noqa: PLC0415

    for name in ("BaseGuidance", *(scheduler.name for scheduler in KarrasDiffusionSchedulers)):
        getattr(diffusers, name, None)
