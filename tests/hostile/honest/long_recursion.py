"""Calls its pipeline from deep within."""

import sys

from plain import draw, pipe

sys.setrecursionlimit(20_000)


def generate(pipe, prompts, generators, depth=300):
    return generate(pipe, prompts, generators, depth - 1) if depth else draw(pipe, prompts, generators)
