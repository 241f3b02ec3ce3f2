"""Tries settings from a table, the good one first."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

SETTINGS = [{"num_inference_steps": 8}, {"num_inference_steps": 3, "guidance_scale": 2.0}]

if __name__ == "__main__":
    for number, setting in enumerate(SETTINGS):
        pipe("a small white moon", **setting).images[0].save(f"{number}.png")
