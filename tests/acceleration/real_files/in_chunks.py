"""Three prompts at a time."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

CHUNK = 3


def generate(pipeline, texts, noise):
    found = []
    for start in range(0, len(texts), CHUNK):
        part = slice(start, start + CHUNK)
        found.extend(pipeline(texts[part], generator=noise[part], num_inference_steps=8).images)
    return found
