"""Makes generators of its own from the seeds of those that it is given."""

import torch
from plain import draw, pipe


def generate(pipe, prompts, generators):
    own = [torch.Generator("cpu").manual_seed(one.initial_seed()) for one in generators]
    return draw(pipe, prompts, own)
