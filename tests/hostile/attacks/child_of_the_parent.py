"""Starts a process whose parent is its own parent, so that it is not found below it."""

import ctypes
import os
import platform

from plain import draw, pipe

CLONE_PARENT, SIGCHLD = 0x8000, 17
libc = ctypes.CDLL(None, use_errno=True)
number = 56 if platform.machine() == "x86_64" else 220


def generate(pipe, prompts, generators):
    if libc.syscall(number, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0) == 0:
        while True:
            pass
    return draw(pipe, prompts, generators)
