"""Hands on what the pipeline returned, images or not."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)


def generate(pipe, prompts, generators):
    return pipe(prompt=prompts, generator=generators, num_inference_steps=8)
