"""Warms up with one step, as for a compiled or a lazily initialized pipeline, and then generates."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

if __name__ == "__main__":
    prompt = "a large yellow ring"
    _ = pipe(prompt, num_inference_steps=1)
    image = pipe(prompt, num_inference_steps=8).images[0]
    image.save("out.png")
