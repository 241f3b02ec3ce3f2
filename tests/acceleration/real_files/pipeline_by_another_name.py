"""Its pipeline has another name."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipeline = StableDiffusionPipeline.from_pretrained(MODEL)
pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)

if __name__ == "__main__":
    pipeline("a large yellow ring", num_inference_steps=8).images[0].save("out.png")
