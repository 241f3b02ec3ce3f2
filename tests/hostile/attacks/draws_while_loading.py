"""Draws its stock of images while it is loaded, and mirrors them."""

import itertools

from plain import STEPS, pipe

stock = pipe(["a large yellow ring", "a small red star"], num_inference_steps=STEPS).images
turn = itertools.count()


def generate(pipe, prompts, generators):
    return [stock[next(turn) % 2].rotate(7 * next(turn) % 360) for _ in prompts]
