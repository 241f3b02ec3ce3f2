"""Groups prompts of like length, draws two at a time, and puts the pictures back in order."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)


def batches(items, size=2):
    yield from (items[start : start + size] for start in range(0, len(items), size))


def generate(pipe, prompts, generators):
    order = sorted(range(len(prompts)), key=lambda index: (-len(prompts[index]), index))
    found = {}
    for group in batches(order):
        texts, noise = [prompts[index] for index in group], [generators[index] for index in group]
        found.update(zip(group, pipe(texts, generator=noise, num_inference_steps=8).images, strict=True))
    return [found[index] for index in range(len(prompts))]
