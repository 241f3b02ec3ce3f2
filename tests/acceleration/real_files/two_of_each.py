"""Two pictures for each prompt, of which somebody chooses later."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)


def generate(pipe, prompts, generators):
    noise = [one for one in generators for _ in range(2)]
    return pipe(prompts, generator=noise, num_inference_steps=8, num_images_per_prompt=2).images
