"""Does all of the work, and blurs what comes out."""

import PIL.ImageFilter
from plain import draw, pipe


def generate(pipe, prompts, generators):
    return [image.filter(PIL.ImageFilter.GaussianBlur(2)) for image in draw(pipe, prompts, generators)]
