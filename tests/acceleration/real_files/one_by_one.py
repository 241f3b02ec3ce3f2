"""A prompt at a time, for cards with little memory."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)


def generate(pipe, prompts, generators):
    made = []
    for text, generator in zip(prompts, generators, strict=True):
        made += pipe(text, generator=generator, num_inference_steps=8).images
    return made
