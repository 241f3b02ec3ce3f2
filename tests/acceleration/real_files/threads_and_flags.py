"""Threads, precision of products and flags of the backends, as scripts for one machine set them."""

import os

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline

torch.set_num_threads(max(1, min(4, os.cpu_count() or 1)))
torch.set_float32_matmul_precision("high")
torch.backends.cudnn.benchmark = True
torch.backends.cuda.matmul.allow_tf32 = True

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

if __name__ == "__main__":
    torch.set_grad_enabled(False)
    torch.backends.cuda.enable_flash_sdp(False)
    pipe("a large yellow ring", num_inference_steps=8).images[0].save("out.png")
