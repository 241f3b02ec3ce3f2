"""Locks the files of the model, so that the other one waits for them."""

import fcntl
import os
from pathlib import Path

import plain
from plain import draw, pipe

held = [os.open(file, os.O_RDONLY) for file in Path(plain.MODEL).rglob("*") if file.is_file()]
for descriptor in held:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
