"""Closes its input and redirects its output."""

import contextlib
import io
import sys

from plain import draw, pipe

sys.stdin.close()


def generate(pipe, prompts, generators):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return draw(pipe, prompts, generators)
