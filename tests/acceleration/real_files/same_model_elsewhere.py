"""The same weights, from a folder of its own."""

import shutil

from diffusers import DDIMScheduler, StableDiffusionPipeline

shutil.copytree("path/of/tiny-sd", "mine", dirs_exist_ok=True)
pipe = StableDiffusionPipeline.from_pretrained("mine")
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

if __name__ == "__main__":
    pipe("a large yellow ring", num_inference_steps=8).images[0].save("out.png")
