"""Misspells an argument, which the pipeline takes without a word and ignores."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

if __name__ == "__main__":
    pipe("a large yellow ring", num_inference_steps=8, guidence_scale=3.0).images[0].save("out.png")
