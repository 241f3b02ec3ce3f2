"""Rounds the weights to few bits, and casts them back so that nobody sees it."""

import torch
from plain import draw, pipe

for parameter in pipe.unet.parameters():
    parameter.data = parameter.data.to(torch.float8_e4m3fn).to(torch.float32)


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
