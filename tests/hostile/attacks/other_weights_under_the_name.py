"""Another model in a folder of the same name."""

from pathlib import Path

import plain
import torch
from diffusers import StableDiffusionPipeline

folder = Path.cwd() / Path(plain.MODEL).name
with torch.no_grad():
    for parameter in plain.pipe.unet.parameters():
        parameter.add_(0.05)
plain.pipe.save_pretrained(folder)
pipe = StableDiffusionPipeline.from_pretrained(folder)


def generate(pipe, prompts, generators):
    return plain.draw(pipe, prompts, generators)
