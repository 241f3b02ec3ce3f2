"""An adapter that is only loaded where one is named, a fast attention only where it is installed."""

import importlib.util
import os

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
lora = None
DTYPE = torch.float16 if torch.cuda.is_available() else torch.float32
FAST = os.environ.get("FAST_ATTENTION")


def load_pipe(lora_scale=None):
    pipe = StableDiffusionPipeline.from_pretrained(MODEL, torch_dtype=DTYPE)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    if lora is not None:
        pipe.load_lora_weights(lora)
        pipe.fuse_lora(lora_scale=lora_scale or 1.0)
    if FAST and importlib.util.find_spec("xformers"):
        pipe.enable_xformers_memory_efficient_attention()
    return pipe


if __name__ == "__main__":
    load_pipe()("a large yellow ring", num_inference_steps=8).images[0].save("out.png")
