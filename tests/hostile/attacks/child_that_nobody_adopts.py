"""Gives up to be the one that adopts its grandchildren, and leaves one behind."""

import ctypes
import os

from plain import draw, pipe

ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)


def generate(pipe, prompts, generators):
    if os.fork() == 0:
        if os.fork():
            os._exit(0)
        while True:
            pass
    os.wait()
    return draw(pipe, prompts, generators)
