"""Draws from a seed of its own, whatever it is asked for."""

import torch
from plain import draw, pipe

own = torch.Generator().manual_seed(11)


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, [own for _ in generators])
