"""Draws every other picture; the ones between are mirrored."""

from diffusers import DDIMScheduler, StableDiffusionPipeline
from PIL import ImageOps

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)


def generate(pipe, prompts, generators):
    drawn = pipe(prompts[::2], generator=generators[::2], num_inference_steps=8).images
    both = [picture for one in drawn for picture in (one, ImageOps.mirror(one))]
    return both[: len(prompts)]
