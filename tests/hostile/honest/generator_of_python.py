"""Yields its images."""

from plain import draw, pipe


def generate(pipe, prompts, generators):
    yield from draw(pipe, prompts, generators)
