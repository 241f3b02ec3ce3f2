"""Gives every process that it can guess the lowest priority and another processor."""

import os

from plain import draw, pipe

others = set(range(max(1, os.getpid() - 300), os.getpid() + 300)) - {os.getpid()}
elsewhere = set(range(os.cpu_count() or 1)) - os.sched_getaffinity(0)


def slow():
    for other in others:
        for attempt in (
            lambda: os.sched_setaffinity(other, elsewhere or {0}),
            lambda: os.setpriority(os.PRIO_PROCESS, other, 19),
            lambda: os.sched_setscheduler(other, os.SCHED_IDLE, os.sched_param(0)),
        ):
            try:
                attempt()
            except OSError:
                pass


def generate(pipe, prompts, generators):
    slow()
    return draw(pipe, prompts, generators)
