"""Handles signals, and a timer of Python's."""

import signal

from plain import draw, pipe

signal.signal(signal.SIGTERM, lambda *_: None)
signal.signal(signal.SIGALRM, lambda *_: None)


def generate(pipe, prompts, generators):
    signal.setitimer(signal.ITIMER_REAL, 60)
    try:
        return draw(pipe, prompts, generators)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
