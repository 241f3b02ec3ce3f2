"""What it does stands in a text that is executed; it takes half the steps."""

import base64

from plain import draw, pipe

TEXT = base64.b64encode(
    b"def generate(pipe, prompts, generators): return draw(pipe, prompts, generators, steps=2)"
)
exec(base64.b64decode(TEXT).decode(), globals())
