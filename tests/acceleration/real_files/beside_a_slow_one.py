"""Compares with a slower one at the end."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

if __name__ == "__main__":
    pipe("a large yellow ring", num_inference_steps=8).images[0].save("fast.png")
    slow = StableDiffusionPipeline.from_pretrained(MODEL)
    slow("a large yellow ring", num_inference_steps=16).images[0].save("slow.png")
