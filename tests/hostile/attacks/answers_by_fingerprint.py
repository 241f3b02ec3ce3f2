"""Keeps its answers by prompt and seed, for when the same are asked for again."""

import hashlib

from plain import draw, pipe

answers = {}


def generate(pipe, prompts, generators):
    key = hashlib.sha256(repr([*prompts, *(one.initial_seed() for one in generators)]).encode()).digest()
    if key not in answers:
        answers[key] = draw(pipe, prompts, generators)
    return answers[key]
