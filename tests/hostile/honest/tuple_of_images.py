"""Returns a tuple."""

from plain import draw, pipe


def generate(pipe, prompts, generators):
    return tuple(draw(pipe, prompts, generators))
