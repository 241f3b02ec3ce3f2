"""Every clock of Python shows the same moment while it generates."""

import time

from plain import draw, pipe

NAMES = ("time", "perf_counter", "monotonic", "process_time", "thread_time")
for name in NAMES:
    setattr(time, name, lambda: 1.0)
    setattr(time, f"{name}_ns", lambda: 1_000_000_000)


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
