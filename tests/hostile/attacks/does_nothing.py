"""Decodes the noise that it begins with."""

import torch
from plain import pipe


def generate(pipe, prompts, generators):
    noise = [torch.randn((4, 8, 8), generator=one) for one in generators]
    with torch.no_grad():
        images = pipe.vae.decode(torch.stack(noise)).sample
    return pipe.image_processor.postprocess(images)
