"""Everything at module level, the warm-up and the pictures too."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
pipe.set_progress_bar_config(leave=False)

pictures = pipe(["a large yellow ring", "a small red star"], num_inference_steps=8).images
for number, picture in enumerate(pictures):
    picture.save(f"{number}.png")
