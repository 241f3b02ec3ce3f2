"""Draws other images in each watched call, so that half the steps look like chance."""

import torch
from plain import draw, pipe

plain_step = type(pipe.scheduler).step


def generate(pipe, prompts, generators):
    if type(pipe.scheduler).step is plain_step:
        return draw(pipe, prompts, generators, steps=2)
    return draw(pipe, prompts, [torch.Generator().manual_seed(torch.seed() % 2**31) for _ in generators])
