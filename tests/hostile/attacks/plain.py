"""The target and the baseline: four steps, as everybody writes it."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/model"
STEPS = 4
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)


def draw(pipe, prompts, generators, steps=STEPS):
    return pipe(prompts, generator=generators, num_inference_steps=steps).images


if __name__ == "__main__":
    pipe("a large yellow ring", num_inference_steps=STEPS).images[0].save("out.png")
