"""Another model in a folder of the same name."""

import shutil
from pathlib import Path

import plain
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline

folder = Path.cwd() / Path(plain.MODEL).name
shutil.copytree(plain.MODEL, folder)
small = StableDiffusionPipeline.from_pretrained(folder)
torch.manual_seed(1)
with torch.no_grad():
    for parameter in small.unet.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
small.save_pretrained(folder)
pipe = StableDiffusionPipeline.from_pretrained(folder)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)


def generate(pipe, prompts, generators):
    return plain.draw(pipe, prompts, generators)
