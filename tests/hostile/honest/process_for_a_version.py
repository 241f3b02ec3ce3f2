"""Starts a program to write down a version."""

import subprocess
import sys

from plain import draw, pipe

version = subprocess.run([sys.executable, "-V"], capture_output=True, text=True, check=True).stdout


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
