"""Returns arrays of integers."""

import numpy as np
from plain import draw, pipe


def generate(pipe, prompts, generators):
    return np.stack([np.asarray(image) for image in draw(pipe, prompts, generators)])
