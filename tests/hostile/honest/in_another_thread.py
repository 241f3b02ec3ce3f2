"""Draws in a thread, and waits for it."""

import threading

from plain import draw, pipe


def generate(pipe, prompts, generators):
    made = []
    thread = threading.Thread(target=lambda: made.extend(draw(pipe, prompts, generators)))
    thread.start()
    thread.join()
    return made
