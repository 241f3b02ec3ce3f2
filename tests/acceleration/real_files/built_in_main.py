"""A script whose pipeline is built below the guard alone, by a function with a name of its own."""

from diffusers import DDIMScheduler, StableDiffusionPipeline


def build(folder="path/of/tiny-sd"):
    made = StableDiffusionPipeline.from_pretrained(folder)
    made.scheduler = DDIMScheduler.from_config(made.scheduler.config)
    return made


if __name__ == "__main__":
    pipe = build()
    prompt = "a large yellow ring"
    pipe(prompt, num_inference_steps=8).images[0].save("out.png")
