"""Prints without end."""

from plain import draw, pipe


def generate(pipe, prompts, generators):
    while True:
        print("PASSED" * 1000)
