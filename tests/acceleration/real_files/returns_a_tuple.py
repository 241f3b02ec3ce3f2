"""Images and the findings of a safety checker, in a tuple."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)


def generate(pipe, prompts, generators):
    return pipe(prompts, generator=generators, num_inference_steps=8, return_dict=False)
