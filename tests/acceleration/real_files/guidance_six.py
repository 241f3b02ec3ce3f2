"""Guidance as a float with an annotation, next to other numbers."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

text_strength: float = 6.0
TINY = 1e-5


def half(value=0.5):
    return value / 2.0


if __name__ == "__main__":
    pipe("a small red star", num_inference_steps=8, guidance_scale=text_strength).images[0].save("star.png")
