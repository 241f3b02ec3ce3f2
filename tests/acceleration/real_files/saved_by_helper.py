"""A module next to this file changes the pipeline."""

from diffusers import DDIMScheduler, StableDiffusionPipeline
from drawing_helper import save_memory

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
pipe = save_memory(pipe)

if __name__ == "__main__":
    pipe("a large yellow ring", num_inference_steps=8).images[0].save("out.png")
