"""Asks for more memory than there is."""

from plain import draw, pipe


def generate(pipe, prompts, generators):
    held = []
    while True:
        held.append(bytearray(2**33))
