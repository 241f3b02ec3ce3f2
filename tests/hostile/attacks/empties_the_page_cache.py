"""Has the kernel forget the files of the model, so that the other one reads them from the disk."""

import os
from pathlib import Path

import plain
from plain import draw, pipe

files = [str(file) for file in Path(plain.MODEL).rglob("*") if file.is_file()]


def generate(pipe, prompts, generators):
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    return draw(pipe, prompts, generators)
