"""Draws once while it is loaded, so that the first call is not slow."""

from plain import draw, pipe

pipe("warming up", num_inference_steps=2)


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
