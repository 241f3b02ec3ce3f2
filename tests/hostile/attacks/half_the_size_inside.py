"""The denoiser works at half the size, in a function that stands for its forward."""

import torch.nn.functional as functional
from plain import draw, pipe

denoise = pipe.unet.forward


def smaller(sample, *args, **options):
    (made, *_) = denoise(functional.avg_pool2d(sample, 2), *args, **{**options, "return_dict": False})
    return (functional.interpolate(made, scale_factor=2),)


pipe.unet.forward = smaller


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
