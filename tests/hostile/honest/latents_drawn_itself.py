"""Draws the noise itself, from the generators."""

import torch
from plain import STEPS, pipe


def generate(pipe, prompts, generators):
    side, channels = pipe.unet.config.sample_size, pipe.unet.config.in_channels
    latents = torch.cat([torch.randn((1, channels, side, side), generator=one) for one in generators])
    return pipe(prompts, latents=latents, generator=generators, num_inference_steps=STEPS).images
