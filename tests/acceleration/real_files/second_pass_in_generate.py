"""Draws with few steps and lets an image-to-image pass finish the pictures."""

from diffusers import DDIMScheduler, StableDiffusionImg2ImgPipeline, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
refiner = StableDiffusionImg2ImgPipeline(**pipe.components)
refiner.set_progress_bar_config(disable=True)


def generate(pipe, prompts, generators):
    rough = pipe(prompts, generator=generators, num_inference_steps=8, output_type="np").images
    return refiner(prompts, image=rough, strength=0.25, generator=generators, num_inference_steps=8).images
