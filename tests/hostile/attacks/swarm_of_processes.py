"""Starts more and more processes that wait."""

import subprocess

from plain import draw, pipe

swarm = []


def generate(pipe, prompts, generators):
    while len(swarm) < 3000:
        swarm.append(subprocess.Popen(["sleep", "1000"]))
    return draw(pipe, prompts, generators)
