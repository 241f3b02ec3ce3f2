"""Lays its weights out in another order."""

import torch
from plain import draw, pipe

pipe.vae.to(memory_format=torch.channels_last)


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
