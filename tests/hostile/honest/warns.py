"""Warns of what somebody might not expect."""

import warnings

from plain import draw, pipe


def generate(pipe, prompts, generators):
    warnings.warn("four steps are few", stacklevel=1)
    return draw(pipe, prompts, generators)
