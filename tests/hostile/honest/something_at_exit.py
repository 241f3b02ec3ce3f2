"""Cleans up when it ends."""

import atexit
import shutil
import tempfile

from plain import draw, pipe

folder = tempfile.mkdtemp()
atexit.register(shutil.rmtree, folder, ignore_errors=True)


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
