"""Does as it should in its first call, and half of it later."""

from plain import draw, pipe

calls = iter(range(10**6))


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators, steps=4 if next(calls) < 1 else 2)
