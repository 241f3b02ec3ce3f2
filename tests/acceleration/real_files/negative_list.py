"""A negative prompt for each of three prompts."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

THREE = ["a large yellow ring", "a small red star", "a blue square"]

if __name__ == "__main__":
    pipe(THREE, negative_prompt=["blurry"] * 3, num_inference_steps=8).images[0].save("out.png")
