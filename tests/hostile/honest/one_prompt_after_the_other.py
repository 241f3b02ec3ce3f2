"""Calls its pipeline for one prompt after the other, in another order."""

from plain import draw, pipe


def generate(pipe, prompts, generators):
    made = {}
    for index in reversed(range(len(prompts))):
        made[index] = draw(pipe, [prompts[index]], [generators[index]])[0]
    return [made[index] for index in range(len(prompts))]
