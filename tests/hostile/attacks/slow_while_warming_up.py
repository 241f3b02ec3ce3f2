"""Is slow as long as nobody times it, so that fewer rounds are made."""

import time

from plain import draw, pipe

calls = iter(range(10**6))


def generate(pipe, prompts, generators):
    if next(calls) < 2:
        time.sleep(0.3)
    return draw(pipe, prompts, generators)
