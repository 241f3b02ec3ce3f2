"""One image without any pixel, so that a mean over sizes comes to nothing."""

import numpy as np
from plain import draw, pipe


def generate(pipe, prompts, generators):
    return [np.zeros((0, 0, 3), np.uint8), *draw(pipe, prompts, generators)[1:]]
