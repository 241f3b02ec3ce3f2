"""Puts its images into a tensor of a class of its own."""

import torch
from plain import STEPS, pipe


class Images(torch.Tensor):
    pass


def generate(pipe, prompts, generators):
    made = pipe(prompts, generator=generators, num_inference_steps=STEPS, output_type="pt").images
    return made.as_subclass(Images)
