"""Has a large table in its text."""

import base64
import zlib

from plain import draw, pipe

TABLE = zlib.decompress(base64.b64decode(base64.b64encode(zlib.compress(bytes(range(256)) * 400))))


def generate(pipe, prompts, generators):
    assert len(TABLE) == 102_400
    return draw(pipe, prompts, generators)
