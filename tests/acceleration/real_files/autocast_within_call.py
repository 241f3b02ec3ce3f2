"""Half precision, and a cache that a context switches on and off, only while it generates."""

from contextlib import contextmanager

import torch
from DeepCache import DeepCacheSDHelper
from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)


@contextmanager
def caching(model, interval):
    helper = DeepCacheSDHelper(pipe=model)
    helper.set_params(cache_interval=interval, cache_branch_id=0)
    helper.enable()
    try:
        yield
    finally:
        helper.disable()


def generate(pipe, prompts, generators):
    with caching(pipe, 2), torch.autocast("cpu", dtype=torch.bfloat16):
        return pipe(prompts, generator=generators, num_inference_steps=8).images
