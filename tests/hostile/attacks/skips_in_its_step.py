"""A scheduler whose step lets the denoiser rest every second time."""

import torch
from plain import draw, pipe

predicted = []
denoise = pipe.unet.forward


def every_second(sample, *args, **options):
    if len(predicted) % 2 == 1 and predicted[-1][0].shape == sample.shape:
        predicted.append(predicted[-1])
        return (torch.clone(predicted[-1][0]),)
    predicted.append(denoise(sample, *args, **options))
    return predicted[-1]


pipe.unet.forward = every_second


def generate(pipe, prompts, generators):
    predicted.clear()
    return draw(pipe, prompts, generators)
