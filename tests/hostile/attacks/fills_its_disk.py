"""Writes until there is no room left."""

from plain import draw, pipe


def generate(pipe, prompts, generators):
    block = bytes(2**22)
    with open("filling", "wb") as file:
        while True:
            file.write(block)
