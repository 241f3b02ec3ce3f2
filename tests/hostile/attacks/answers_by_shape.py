"""Keeps its answers by the number of prompts."""

from plain import draw, pipe

answers = {}


def generate(pipe, prompts, generators):
    key = tuple(type(prompt).__name__ for prompt in prompts)
    if key not in answers:
        answers[key] = draw(pipe, prompts, generators)
    return answers[key]
