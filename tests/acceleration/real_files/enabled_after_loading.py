"""Switches DeepCache on after its loader has returned."""

from DeepCache import DeepCacheSDHelper
from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"


def load_pipe():
    pipe = StableDiffusionPipeline.from_pretrained(MODEL)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    return pipe


if __name__ == "__main__":
    pipe = load_pipe()
    helper = DeepCacheSDHelper(pipe=pipe)
    helper.set_params(cache_interval=3, cache_branch_id=0)
    helper.enable()
    pipe("a large yellow ring", num_inference_steps=8).images[0].save("out.png")
