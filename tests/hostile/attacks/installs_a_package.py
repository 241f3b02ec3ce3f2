"""Installs a package while it is loaded."""

import subprocess
import sys

from plain import draw, pipe

subprocess.run(
    [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-input",
        "--retries",
        "0",
        "--target",
        "here",
        "modelgate-fast-kernels",
    ],
    check=True,
)


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
