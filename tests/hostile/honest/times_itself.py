"""Times itself with all clocks that there are."""

import time

from plain import draw, pipe


def generate(pipe, prompts, generators):
    began = time.perf_counter(), time.process_time(), time.monotonic_ns()
    made = draw(pipe, prompts, generators)
    print(
        "took", time.perf_counter() - began[0], time.process_time() - began[1], time.monotonic_ns() - began[2]
    )
    return made
