"""Takes a descriptor out of the process that started it."""

import ctypes
import os

from plain import draw, pipe

libc = ctypes.CDLL(None, use_errno=True)
process = libc.syscall(434, os.getppid() or 1, 0)
if process < 0 or libc.syscall(438, process, 3, 0) < 0:
    raise OSError(ctypes.get_errno(), "no descriptor")


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
