"""Runs without gradients, and with one thread more than it has."""

import torch
from plain import draw, pipe

torch.set_grad_enabled(False)


@torch.inference_mode()
def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
