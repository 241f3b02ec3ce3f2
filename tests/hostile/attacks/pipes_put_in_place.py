"""Puts pipes of its own in the place of all of its descriptors."""

import os

from plain import draw, pipe


def generate(pipe, prompts, generators):
    made = draw(pipe, prompts, generators)
    _, write = os.pipe()
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        if descriptor > 2 and descriptor != write:
            try:
                os.fstat(descriptor)
            except OSError:
                continue
            os.dup2(write, descriptor)
    return made
