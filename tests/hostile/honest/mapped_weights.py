"""Writes its weights down and maps them into memory."""

import safetensors.torch
from plain import draw, pipe

safetensors.torch.save_file(pipe.unet.state_dict(), "unet.safetensors")
pipe.unet.load_state_dict(safetensors.torch.load_file("unet.safetensors"), assign=True)


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
