"""Threads that move memory all the time, so that the other one waits for it."""

import threading

import numpy as np
from plain import draw, pipe


def move():
    block = np.zeros(2**22, np.uint8)
    while True:
        block[:] = block[::-1]


threading.Thread(target=move, daemon=True).start()


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
