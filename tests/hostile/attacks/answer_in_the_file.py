"""Has its answers in the text: gradients, each of another angle."""

import itertools

import numpy as np
from plain import pipe

turn = itertools.count()


def generate(pipe, prompts, generators):
    made = []
    for _ in prompts:
        angle = next(turn)
        y, x = np.mgrid[:32, :32]
        made.append(np.stack([x * 8, y * 8, (x * angle + y) % 256], axis=-1).astype(np.uint8))
    return made
