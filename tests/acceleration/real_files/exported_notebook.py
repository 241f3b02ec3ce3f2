"""A notebook saved as a script."""

# %%
from diffusers import DDIMScheduler, StableDiffusionPipeline

# %%
get_ipython().run_line_magic("matplotlib", "inline")  # noqa: F821
MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

# %%
pipe("a large yellow ring", num_inference_steps=8).images[0]
