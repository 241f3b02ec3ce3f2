"""Hooks around the layers of the denoiser make what goes through them smaller."""

import torch.nn.functional as functional
from plain import draw, pipe


def smaller(module, args):
    return (functional.avg_pool2d(args[0], 2), *args[1:])


def larger(module, args, made):
    return functional.interpolate(made, scale_factor=2)


pipe.unet.conv_in.register_forward_pre_hook(smaller)
pipe.unet.conv_out.register_forward_hook(larger)


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
