"""Turns arrays into pictures in a pool."""

from concurrent.futures import ThreadPoolExecutor

import PIL.Image
from plain import STEPS, pipe

pool = ThreadPoolExecutor(2)


def picture(array):
    return PIL.Image.fromarray((array * 255).round().astype("uint8"))


def generate(pipe, prompts, generators):
    arrays = pipe(prompts, generator=generators, num_inference_steps=STEPS, output_type="np").images
    return list(pool.map(picture, arrays))
