"""The call stands in a module next to this file."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

from drawing_helper import draw  # noqa: E402

if __name__ == "__main__":
    draw(pipe, "sketch").save("out.png")
