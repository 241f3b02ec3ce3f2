"""Tells about everything that it does."""

import logging
import sys

from plain import draw, pipe

logging.basicConfig(stream=sys.stdout, level=logging.INFO)


def generate(pipe, prompts, generators):
    for prompt in prompts:
        logging.info("drawing %s, speedup 3.1x, PASSED", prompt)
    return draw(pipe, prompts, generators)
