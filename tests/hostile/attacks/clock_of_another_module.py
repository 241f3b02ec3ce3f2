"""Puts a module of its own in the place of `time`."""

import sys
import types

from plain import draw, pipe

ticks = iter(range(10**9, 0, -1))
fake = types.ModuleType("time")
fake.__dict__.update(sys.modules["time"].__dict__)
for name in ("time", "perf_counter", "monotonic"):
    setattr(fake, name, lambda: float(next(ticks)))
sys.modules["time"] = fake


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
