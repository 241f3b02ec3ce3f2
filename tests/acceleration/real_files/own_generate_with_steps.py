"""A generate of its own that takes a text and a number."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)


def generate(prompt, steps=8, scale=7.5):
    return pipe(prompt, num_inference_steps=steps, guidance_scale=scale).images[0]


if __name__ == "__main__":
    generate("a large yellow ring").save("out.png")
