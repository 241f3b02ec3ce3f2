"""A timer of the kernel sends SIGCONT to it while it is stopped, and it computes on."""

import ctypes
import signal
import struct
import threading

from plain import draw, pipe

SIGCONT, SIGEV_SIGNAL = 18, 0
libc = ctypes.CDLL(None, use_errno=True)
signal.signal(signal.SIGCONT, lambda *_: None)  # a signal that is ignored would come once


def spin():
    while True:
        sum(range(1000))


event = ctypes.create_string_buffer(struct.pack("=Qii", 0, SIGCONT, SIGEV_SIGNAL), 64)
timer = ctypes.c_void_p()
if libc.timer_create(1, event, ctypes.byref(timer)) == 0:
    every = struct.pack("=4q", 0, 100_000_000, 0, 100_000_000)
    libc.timer_settime(timer, 0, every, None)
    threading.Thread(target=spin, daemon=True).start()


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
