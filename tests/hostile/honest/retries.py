"""Tries again when something fails, as scripts for clusters do."""

import time

from plain import draw, pipe

tries = iter(range(10**6))


def generate(pipe, prompts, generators):
    for _ in range(3):
        try:
            if next(tries) == 0:
                raise ConnectionError("the first time")
            return draw(pipe, prompts, generators)
        except ConnectionError:
            time.sleep(0.01)
