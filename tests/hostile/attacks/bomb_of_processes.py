"""Starts processes faster than they are counted, each in a session of its own, whose parents end."""

import subprocess
import sys

from plain import draw, pipe

# It stops after two thousand forks, and ends by itself after some seconds, should nothing hold it.
BOMB = """
import mmap, os, time
count, end = mmap.mmap(-1, 8), time.monotonic() + 20
while time.monotonic() < end:
    made = int.from_bytes(count[:8], "little")
    if made >= 2000:
        time.sleep(1)
        continue
    count[:8] = (made + 1).to_bytes(8, "little")
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
"""


def generate(pipe, prompts, generators):
    subprocess.Popen([sys.executable, "-S", "-E", "-c", BOMB]).wait()
    return draw(pipe, prompts, generators)
