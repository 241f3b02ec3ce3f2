"""Leaves a process behind that computes while the other one is timed."""

import os
import signal

from plain import draw, pipe

if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork():
        os._exit(0)
    while True:
        pass


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
