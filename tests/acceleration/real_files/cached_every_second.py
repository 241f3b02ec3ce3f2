"""DeepCache that computes every second step in full."""

from DeepCache import DeepCacheSDHelper
from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

helper = DeepCacheSDHelper(pipe=pipe)
helper.set_params(cache_interval=2, cache_branch_id=0)
helper.enable()

if __name__ == "__main__":
    pipe("a large yellow ring", num_inference_steps=8).images[0].save("out.png")
