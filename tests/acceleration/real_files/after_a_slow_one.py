"""Warms up with another pipeline first."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

if __name__ == "__main__":
    other = StableDiffusionPipeline(**pipe.components)
    other("warm up", num_inference_steps=3).images[0].save("warm.png")
    pipe("a large yellow ring", num_inference_steps=8).images[0].save("out.png")
