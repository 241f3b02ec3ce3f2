"""Opens the folders and files of other processes by their numbers."""

import os
from pathlib import Path

from plain import draw, pipe

errors = []
for number in (os.getppid() or 1, *range(max(2, os.getpid() - 200), os.getpid())):
    try:
        list(Path(f"/proc/{number}/cwd").iterdir())
        Path(f"/proc/{number}/environ").read_bytes()
    except FileNotFoundError:
        continue
    except PermissionError as error:
        errors.append(error)
if errors:
    raise errors[0]


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
