"""Tokens merged only while it generates."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

import tomesd  # noqa: E402


def generate(pipe, prompts, generators):
    tomesd.apply_patch(pipe, ratio=0.3, max_downsample=2)
    images = pipe(prompts, generator=generators, num_inference_steps=8).images
    tomesd.remove_patch(pipe)
    return images
