"""The picture of the pipeline goes through a second, image-to-image pass."""

from diffusers import DDIMScheduler, StableDiffusionImg2ImgPipeline, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
refiner = StableDiffusionImg2ImgPipeline(**pipe.components)

PROMPT = "a large yellow ring"

if __name__ == "__main__":
    first = pipe(PROMPT, num_inference_steps=8).images[0]
    second = refiner(PROMPT, image=first.resize((32, 32)), strength=0.5, num_inference_steps=6).images[0]
    first.save("first.png")
    second.save("second.png")
