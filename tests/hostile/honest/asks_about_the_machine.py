"""Looks at processors, memory and limits, and asks for a priority."""

import os
import resource

import psutil
from plain import draw, pipe

print(
    psutil.virtual_memory().total,
    psutil.cpu_count(),
    os.getloadavg(),
    resource.getrlimit(resource.RLIMIT_NOFILE),
)
os.nice(1)
psutil.Process().cpu_affinity(psutil.Process().cpu_affinity())
psutil.Process().nice(2)


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
