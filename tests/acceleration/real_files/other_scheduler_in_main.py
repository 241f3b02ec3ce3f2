"""Chooses its scheduler where it generates."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

from diffusers import EulerDiscreteScheduler  # noqa: E402

if __name__ == "__main__":
    pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config)
    pipe("a large yellow ring", num_inference_steps=8).images[0].save("out.png")
